import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

/** Every code block in these is TypeScript and compiles; the blocks of one document are one module, in their order. */
const DOCS = ['getting-started', 'handlers', 'delivery-semantics', 'rabbitmq', 'migrating', 'extending'];
const TSC = resolve('node_modules/typescript/bin/tsc');
/** With the project's settings; examples need not use all that they declare. */
const TSCONFIG = {
  extends: resolve('tsconfig.base.json'),
  compilerOptions: {
    composite: false,
    declaration: false,
    declarationMap: false,
    isolatedDeclarations: false,
    noUnusedLocals: false,
    noUnusedParameters: false,
  },
  include: ['*.ts'],
};
const FENCE = /^```(\w*)$/;

/** The document with all but its TypeScript blanked, so that what the compiler says has the document's line numbers. */
function typeScriptOf(markdown: string): string {
  let language: string | undefined;
  const lines = markdown.split('\n').map((line) => {
    const fence = FENCE.exec(line);
    if (fence !== null) {
      language = language === undefined ? fence[1] : undefined;
      return '';
    }
    return language === 'ts' ? line : '';
  });
  return [...lines, 'export {};\n'].join('\n');
}

function languagesOf(markdown: string): string[] {
  const fences = markdown.split('\n').flatMap((line) => FENCE.exec(line)?.[1] ?? []);
  return fences.filter((_, i) => i % 2 === 0);
}

interface Compiled {
  /** What the compiler says: nothing when all is well. */
  readonly errors: readonly string[];
  /** Where the JavaScript is. */
  readonly directory: string;
}

function run(...args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    const child = execFile(process.execPath, args, (_error, stdout, stderr) =>
      done({ code: child.exitCode ?? -1, output: `${stdout}${stderr}` }),
    );
  });
}

/** Documents by name. */
async function compile(parent: string, documents: Readonly<Record<string, string>>): Promise<Compiled> {
  const directory = mkdtempSync(join(parent, 'docs-'));
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const [name, markdown] of Object.entries(documents))
    writeFileSync(join(directory, `${name}.ts`), typeScriptOf(markdown));
  const { output } = await run(TSC, '-p', directory, '--pretty', 'false');
  const lines = output.split('\n').filter((line) => line !== '');
  // Paths are relative to where this runs.
  const errors = lines.map((line) => line.replace(/^[^ (]*\/(?=[\w-]+\.ts\()/, ''));
  return { errors, directory };
}

describe('the documents', () => {
  // In the workspace, where its packages are found.
  let parent: string;
  beforeAll(() => {
    mkdirSync('test/dist', { recursive: true });
    parent = mkdtempSync(resolve('test/dist/docs-'));
  });
  afterAll(() => rmSync(parent, { recursive: true }));
  const documents = Object.fromEntries(DOCS.map((name) => [name, readFileSync(`docs/${name}.md`, 'utf8')]));

  it('show code that compiles, and in getting-started a test that passes', async () => {
    const { errors, directory } = await compile(parent, documents);
    expect(errors).toEqual([]);
    const { code, output } = await run(join(directory, 'getting-started.js'));
    expect([code, /(?:#|ℹ) pass (\d+)/.exec(output)?.[1]]).toEqual([0, '1']);
  });

  it('show no other code, which nothing would check', () => {
    const languages = Object.values(documents).flatMap(languagesOf);
    expect(new Set(languages)).toEqual(new Set(['ts']));
  });

  it('are found out when their code does not compile', async () => {
    const wrong = '# Wrong\n\n```ts\nconst a: number = 1;\n```\n\n```ts\nconst b: string = a;\n```\n';
    expect((await compile(parent, { wrong })).errors).toEqual([
      "wrong.ts(8,7): error TS2322: Type 'number' is not assignable to type 'string'.",
    ]);
  });
});
