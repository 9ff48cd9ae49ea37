import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Mutation } from './mutations.js';

const SAMPLE = 'sample/06-testing';
/** Ten times what it takes on two cores. */
const RUN_MS_MAX = 300_000;
/** The start of the application, which these tests do not use, and which is tested as it is built. */
const NOT_COPIED = /main(?:\.spec)?\.ts$/;

/** What the tests of one copy say. */
export interface Verdict {
  /** Those that failed. Empty: nothing is wrong, as far as they see. */
  readonly caughtBy: readonly string[];
  /** Why none of them ran, which catches nothing. */
  readonly broken?: string;
}

/**
 * Runs the tests of the sample on a copy of it that is as it is, and on one for each mutation, in one run of Jest. Resolves with
 * the verdicts, by name; the first is of the copy that is as it is, `UNCHANGED`. Throws when a mutation is not to be found
 * in its file exactly once.
 */
export async function mutate(mutations: readonly Mutation[]): Promise<ReadonlyMap<string, Verdict>> {
  mkdirSync('test/dist', { recursive: true });
  // In the workspace, where its packages are found.
  const directory = mkdtempSync(resolve('test/dist/mutants-'));
  try {
    const copies = new Map([[copy(directory, 0), UNCHANGED]]);
    for (const [i, mutation] of mutations.entries())
      copies.set(copy(directory, i + 1, mutation), mutation.name);
    const { testResults } = await jest(directory);
    const verdicts = testResults.map(
      ({ name, ...result }) => [copies.get(dirname(name)) ?? name, verdictOf(result)] as const,
    );
    const byName = new Map(verdicts);
    return new Map([...copies.values()].map((name) => [name, byName.get(name) ?? NOT_RUN]));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

export const UNCHANGED = 'nothing';
const NOT_RUN: Verdict = { caughtBy: [], broken: 'Jest has not run it.' };

/** Returns where it is. */
function copy(directory: string, number: number, mutation?: Mutation): string {
  const target = join(directory, String(number).padStart(2, '0'));
  cpSync(SAMPLE, target, { recursive: true, filter: (path) => !NOT_COPIED.test(path) });
  if (mutation === undefined) return target;
  const file = join(target, mutation.file);
  writeFileSync(file, mutated(readFileSync(file, 'utf8'), mutation));
  return target;
}

/** Throws when what is searched for is not there exactly once. */
export function mutated(source: string, { name, file, search, replace }: Mutation): string {
  const parts = source.split(search);
  if (parts.length === 2) return parts.join(replace);
  throw new Error(`'${name}': '${search}' is in ${file} ${parts.length - 1} times, and must be there once.`);
}

interface FileResult {
  readonly name: string;
  readonly message: string;
  readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
}

function verdictOf({ message, assertionResults }: Omit<FileResult, 'name'>): Verdict {
  if (assertionResults.length === 0) return { caughtBy: [], broken: message };
  return {
    caughtBy: assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
  };
}

/** Runs all specs below the directory as those of samples are run. */
async function jest(directory: string): Promise<{ readonly testResults: readonly FileResult[] }> {
  const config = join(directory, 'jest.config.mjs');
  const output = join(directory, 'results.json');
  writeFileSync(config, configFor(directory));
  const args = ['--experimental-vm-modules', resolve('node_modules/jest/bin/jest.js')];
  const options = [
    '--config',
    config,
    '--ci',
    '--silent',
    '--json',
    '--outputFile',
    output,
    '--maxWorkers',
    '2',
  ];
  // It fails by design; how it has failed is in its output. Jest's own environment is not for another one.
  const said = await new Promise<string>((done) => {
    execFile(
      process.execPath,
      [...args, ...options],
      { env: { PATH: process.env['PATH'] }, timeout: RUN_MS_MAX },
      (_error, _stdout, stderr) => done(stderr),
    );
  });
  try {
    return JSON.parse(readFileSync(output, 'utf8')) as { testResults: FileResult[] };
  } catch (error) {
    throw new Error(`Jest has no results:\n${said}`, { cause: error });
  }
}

function configFor(directory: string): string {
  const root = JSON.stringify(resolve('.'));
  return `import all from ${JSON.stringify(pathToFileURL(resolve('jest.config.js')).href)};
const { displayName, ...sample } = all.projects.find(({ displayName }) => displayName === 'sample');
export default {
  ...sample,
  rootDir: ${root},
  roots: [${JSON.stringify(directory)}],
  testMatch: ['**/*.spec.ts'],
  modulePathIgnorePatterns: [],
};
`;
}
