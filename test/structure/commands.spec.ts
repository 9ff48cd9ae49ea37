import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { blocksIn, DOCUMENTS } from './markdown.js';

/** Prints the options of each command, by its name. */
const PRINT_COMMANDS = `
  import { COMMANDS } from './packages/broker/dist/bin/commands.js';
  console.log(JSON.stringify(Object.fromEntries(COMMANDS.map(({ name, options }) => [name, Object.keys(options)]))));
`;
/** Prints what the options become that are its argument. */
const CHECK_CONFIG = `
  import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
  import { tmpdir } from 'node:os';
  import { join } from 'node:path';
  import { readConfig } from './packages/broker/dist/bin/config-file.js';
  import { normaliseOptions } from './packages/broker/dist/options.js';
  import { normaliseServerOptions } from './packages/broker/dist/server-options.js';
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-config-'));
  const file = join(directory, 'config.json');
  writeFileSync(file, process.argv[1]);
  const { tls, broker } = normaliseServerOptions(await readConfig(file));
  normaliseOptions(broker);
  rmSync(directory, { recursive: true });
  console.log(JSON.stringify({ tls }));
`;
const run = promisify(execFile);
const texts = DOCUMENTS.map((path) => [path, readFileSync(path, 'utf8')] as const);

/** Everything that a reader may type: blocks of commands, and what stands in back quotes. */
function commandsIn(markdown: string): string[] {
  const blocks = blocksIn(markdown).filter(({ language }) => language === 'sh');
  const prose = markdown.replaceAll(/^```[\s\S]*?^```$/gm, '');
  // A line that goes on in the next is one; a comment is not typed.
  const lines = blocks.flatMap(({ lines: code }) => code.join('\n').replaceAll('\\\n', ' ').split('\n'));
  const quoted = [...prose.matchAll(/`([^`]+)`/g)].map(([, code]) => String(code).replaceAll('\n', ' '));
  return [...lines.map((line) => line.replace(/(?:^|\s)#.*$/, '').trim()), ...quoted].filter(
    (line) => line !== '',
  );
}

const typed = texts.flatMap(([path, text]) => commandsIn(text).map((command) => [path, command] as const));

function found(pattern: RegExp): (readonly [document: string, name: string])[] {
  return typed.flatMap(([path, command]) =>
    [...command.matchAll(pattern)].map(([, name]) => [path, String(name)] as const),
  );
}

describe('what the documents have people type', () => {
  const scripts = Object.keys(
    (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: object }).scripts,
  );

  it('names scripts that are there', () => {
    const named = found(/\bnpm (?:run (?:-s )?)?(\w+)/g);
    expect(new Set(named.map(([, name]) => name)).size).toBeGreaterThan(10);
    const own = new Set(['ci', 'init', 'install', 'pkg', 'run', ...scripts]);
    expect(named.filter(([, name]) => !own.has(name))).toEqual([]);
  });

  it('names scripts of which each is in CONTRIBUTING.md', () => {
    const contributing = readFileSync('CONTRIBUTING.md', 'utf8');
    const known = (name: string): boolean => new RegExp(`npm (?:run (?:-s )?)?${name}\\b`).test(contributing);
    expect(scripts.filter((name) => !known(name))).toEqual([]);
  });

  it('names samples and benchmarks that are there', () => {
    const samples = found(/\bnpm run sample -- ([\w-]+)/g).filter(([, name]) => name !== 'NAME');
    expect(samples.length).toBeGreaterThan(3);
    expect(samples.filter(([, name]) => !existsSync(`sample/${name}/main.ts`))).toEqual([]);
    const runner = readFileSync('test/benchmarks/run.ts', 'utf8');
    const scenarios = found(/\bnpm run bench -- ([a-z][\w-]+)/g);
    expect(scenarios.length).toBeGreaterThan(3);
    expect(scenarios.filter(([, name]) => !new RegExp(`^  '?${name}'?[:,]`, 'm').test(runner))).toEqual([]);
  });

  it('names files that are there', () => {
    const paths = found(/(?:^|\s)((?:docs|packages|sample|test|tools)\/[\w./-]*\w)(?![\w./*…-])/g);
    expect(paths.length).toBeGreaterThan(20);
    // What is built has a source; a spec may be named by what its path begins with.
    const isThere = (path: string): boolean =>
      [path, path.replace(/\bdist\//, '').replace(/\.js$/, '.ts'), `${path}.spec.ts`].some((one) =>
        existsSync(one),
      );
    // Built, and a name to be chosen.
    const isOther = (path: string): boolean => /^(?:docs\/api|sample\/NN-name)(?:\/|$)/.test(path);
    expect(paths.filter(([, path]) => !isThere(path) && !isOther(path))).toEqual([]);
  });

  it('names commands and options that nestmq has', async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', PRINT_COMMANDS]);
    const options = JSON.parse(stdout) as Record<string, readonly string[]>;
    const given = typed.flatMap(([path, command]) =>
      /^npx nestmq\b/.test(command) ? [[path, command.replace(/^npx nestmq ?/, '')] as const] : [],
    );
    expect(given.length).toBeGreaterThan(20);
    const wrong = given.filter(([, rest]) => {
      const name = Object.keys(options).find((one) => `${rest} `.startsWith(`${one} `));
      const flags = [...rest.matchAll(/--([a-z-]+)/g)].map(([, flag]) => String(flag));
      return name === undefined || flags.some((flag) => options[name]?.includes(flag) !== true);
    });
    expect(wrong).toEqual([]);
  });

  it('shows as JSON configurations that nestmq serve takes', async () => {
    const json = texts.flatMap(([, text]) => blocksIn(text).filter(({ language }) => language === 'json'));
    expect(json.length).toBeGreaterThan(0);
    for (const { lines } of json) {
      const options = await run(process.execPath, [
        '--input-type=module',
        '--eval',
        CHECK_CONFIG,
        lines.join('\n'),
      ]);
      expect(JSON.parse(options.stdout)).toMatchObject({ tls: { port: 5671 } });
    }
  });

  it('would be found out', () => {
    const wrong = 'Type `npm run no-such`.\n\n```sh\nnpx nestmq nothing --at all # npm run hidden\n```\n';
    expect(commandsIn(wrong)).toEqual(['npx nestmq nothing --at all', 'npm run no-such']);
  });
});
