import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const PACKAGES = ['broker', 'transport', 'testing'];
const run = promisify(execFile);

/** Where a source map leads to, from the package's root. */
function sourcesOf(directory: string, map: string): string[] {
  const { sources } = JSON.parse(readFileSync(join(directory, map), 'utf8')) as { sources: string[] };
  return sources.map((source) => posix.join(posix.dirname(map), source));
}

/** What npm users get. */
export function packagesAreWhole(): void {
  describe.each(PACKAGES)('the package %s', (name) => {
    const directory = `packages/${name}`;

    it('packs to what a user needs, and not to tests', async () => {
      const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '-w', directory]);
      const packed: unknown = JSON.parse(stdout);
      // npm prints a list, or from version 11 on an object by name.
      const [{ files }] = Object.values(packed as object) as [{ files: { path: string }[] }];
      const paths = files.map(({ path }) => path);
      expect(paths).toEqual(
        expect.arrayContaining([
          'LICENSE',
          'README.md',
          'dist/index.d.ts',
          'dist/index.js',
          'package.json',
          'src/index.ts',
        ]),
      );
      expect(paths.filter((path) => /\.(spec|suite)\.|tsbuildinfo/.test(path))).toEqual([]);
      const isThere = new Set(paths);
      // Source maps, and with them debuggers and editors, lead to what is packed; and nothing is left of sources that are gone.
      const maps = paths.filter((path) => path.endsWith('.map'));
      expect(maps.length).toBeGreaterThan(30);
      expect(maps.filter((map) => !sourcesOf(directory, map).every((source) => isThere.has(source)))).toEqual(
        [],
      );
    });

    it('has exports that resolve as npm users will find them', async () => {
      const { messages, pkg } = await publint({ pkgDir: directory, strict: true });
      expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
    });

    it('depends at run time on nothing that is not written down', () => {
      const { dependencies = {} } = JSON.parse(readFileSync(`${directory}/package.json`, 'utf8')) as {
        dependencies?: object;
      };
      expect(Object.keys(dependencies)).toEqual(
        {
          broker: [],
          transport: ['@nestmq/broker', 'croner'],
          testing: ['@nestmq/broker', '@nestmq/transport'],
        }[name],
      );
    });
  });
}
