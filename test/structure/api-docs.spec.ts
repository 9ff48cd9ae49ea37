import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const HOME = resolve('tools/api-docs');
const WRONG = `export interface Undocumented {
  readonly length: number;
}

interface Hidden {
  readonly length: number;
}

/** See {@link Nowhere}. @publicApi */
export function measure(thing: Hidden): number {
  return thing.length;
}
`;

/** The project's own settings, for these lines. */
const CONFIG = `import config from ${JSON.stringify(join(HOME, 'typedoc.config.mjs'))};
const own = { entryPoints: ['index.ts'], packagesRequiringDocumentation: ['nestmq-test'], intentionallyNotDocumented: [] };
export default { ...config, ...own, readme: 'none' };
`;

interface Checked {
  readonly code: number;
  /** What is wrong, line by line. */
  readonly warnings: readonly string[];
}

/** Makes the API reference that is configured in a directory, without writing it. */
function check(directory: string): Promise<Checked> {
  const args = [join(HOME, 'node_modules/typedoc/bin/typedoc'), '--emit', 'none'];
  const options = { cwd: directory, env: { ...process.env, NO_COLOR: '1' } };
  return new Promise((done) => {
    const child = execFile(process.execPath, args, options, (_error, stdout, stderr) => {
      const lines = `${stdout}${stderr}`
        .split('\n')
        .filter((line) => /\[(?:warning|error)\]| error /.test(line));
      done({ code: child.exitCode ?? -1, warnings: lines });
    });
  });
}

describe('the API reference', () => {
  let wrong: string;
  beforeAll(() => {
    mkdirSync('test/dist', { recursive: true });
    wrong = mkdtempSync(resolve('test/dist/api-docs-'));
    writeFileSync(join(wrong, 'index.ts'), WRONG);
    writeFileSync(join(wrong, 'typedoc.config.mjs'), CONFIG);
    writeFileSync(
      join(wrong, 'tsconfig.json'),
      JSON.stringify({ files: ['index.ts'], compilerOptions: { types: [] } }),
    );
  });
  afterAll(() => rmSync(wrong, { recursive: true }));

  it('has words for all that the packages export, links that lead somewhere, and all types that are named', async () => {
    expect(await check(HOME)).toEqual({ code: 0, warnings: [] });
  }, 120_000);

  it('would be found out', async () => {
    const { code, warnings } = await check(wrong);
    expect(code).not.toBe(0);
    const text = warnings.join('\n');
    expect(text).toMatch(/Undocumented \(Interface\).* does not have any documentation/);
    expect(text).toMatch(/Failed to resolve link to "Nowhere"/);
    expect(text).toMatch(/Hidden, defined in .* is referenced by measure\S* but not included/);
    expect(text).not.toMatch(/publicApi/);
  }, 120_000);
});
