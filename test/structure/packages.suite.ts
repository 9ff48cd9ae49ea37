import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const PACKAGES = ['broker', 'transport', 'testing'];
const run = promisify(execFile);

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
