import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { temporaryDirectory } from '../integration/app.js';
import { compile, dependencies, installed, pack, tsconfig } from './install.js';

const { path, remove } = temporaryDirectory();
const [packs, directory] = [join(path, 'packs'), join(path, 'third-party')];
await pack(packs);
const isThere = await setUp();
afterAll(remove);

/** An empty directory, in which somebody writes a link and a store. */
async function setUp(): Promise<boolean> {
  mkdirSync(directory);
  cpSync('test/packaging/third-party', directory, { recursive: true });
  const json = (file: string, value: unknown): void =>
    writeFileSync(join(directory, file), JSON.stringify(value));
  json('package.json', {
    private: true,
    type: 'module',
    dependencies: { ...dependencies(packs, '^12.0.0'), expect: '^30.0.0' },
  });
  json('tsconfig.json', tsconfig('*.ts'));
  if (!(await installed(directory, 'what installs the packages for a link of another make'))) return false;
  await compile(directory);
  return true;
}

interface Run {
  readonly output: string;
  readonly passed: number;
  /** Names of the tests that failed. */
  readonly failed: readonly string[];
}

function run(file: string, broken = false): Promise<Run> {
  // A test of Jest's is a test of node:test otherwise, which reports to its parent.
  const { NODE_TEST_CONTEXT: _context, ...inherited } = process.env;
  const env = { ...inherited, BROKEN: broken ? 'yes' : 'no' };
  return new Promise((resolve) => {
    execFile('node', ['--test', '--test-reporter=tap', file], { cwd: directory, env }, (_error, output) => {
      const failed = [...output.matchAll(/^ +not ok \d+ - (.*)$/gm)].map(([, name]) => String(name));
      resolve({ output, passed: Number(/^# pass (\d+)$/m.exec(output)?.[1]), failed });
    });
  });
}

describe('what others write on the packed packages', () => {
  it.each([
    ['a link', 'link.test.js', 30],
    ['a store', 'store.test.js', 20],
    ['an application on both', 'app.test.js', 2],
  ])('%s, passes with node:test', async (_what, file, atLeast) => {
    if (!isThere) return;
    const { output, passed, failed } = await run(file);
    expect(failed).toEqual([]);
    expect([output, passed >= atLeast]).toEqual([output, true]);
  });

  it.each([
    ['a link whose acks do nothing', 'link.test.js', 'settles a delivery by its ack, once'],
    ['a store that forgets what was settled', 'store.test.js', 'does not find again what was settled'],
  ])('%s, is found out by the name of a test', async (_what, file, name) => {
    if (!isThere) return;
    const { passed, failed } = await run(file, true);
    expect(failed).toContainEqual(expect.stringContaining(name));
    // What has nothing to do with it still passes.
    expect([failed.length < 5, passed > 20]).toEqual([true, true]);
  });
});
