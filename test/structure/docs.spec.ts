import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';

/** Every code block in these is TypeScript and compiles; the blocks of one document are one module, in their order. */
const DOCS = ['getting-started', 'handlers', 'delivery-semantics', 'rabbitmq', 'migrating'];
const TSC = resolve('node_modules/typescript/bin/tsc');
/** With the project's settings; examples need not use all that they declare. */
const TSCONFIG = {
  extends: resolve('tsconfig.base.json'),
  compilerOptions: {
    composite: false,
    declaration: false,
    declarationMap: false,
    isolatedDeclarations: false,
    noEmit: true,
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

/** What the compiler says of documents by name: nothing when all is well. */
function typeErrors(directory: string, documents: Readonly<Record<string, string>>): Promise<string[]> {
  const project = mkdtempSync(join(directory, 'docs-'));
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const [name, markdown] of Object.entries(documents))
    writeFileSync(join(project, `${name}.ts`), typeScriptOf(markdown));
  return new Promise((done) => {
    execFile(process.execPath, [TSC, '-p', project, '--pretty', 'false'], (_error, stdout, stderr) => {
      rmSync(project, { recursive: true });
      const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
      done(
        lines.map((line) =>
          line.replace(/^\S*?([\w-]+\.ts)\(/, (_whole, file: string) => `${basename(file)}(`),
        ),
      );
    });
  });
}

describe('the documents', () => {
  // In the workspace, where its packages are found.
  const directory = resolve('test/dist');
  beforeAll(() => mkdirSync(directory, { recursive: true }));
  const documents = Object.fromEntries(DOCS.map((name) => [name, readFileSync(`docs/${name}.md`, 'utf8')]));

  it('show code that compiles', async () => {
    expect(await typeErrors(directory, documents)).toEqual([]);
  });

  it('show no other code, which nothing would check', () => {
    const languages = Object.values(documents).flatMap(languagesOf);
    expect(new Set(languages)).toEqual(new Set(['ts']));
  });

  it('are found out when their code does not compile', async () => {
    const wrong = '# Wrong\n\n```ts\nconst a: number = 1;\n```\n\n```ts\nconst b: string = a;\n```\n';
    expect(await typeErrors(directory, { wrong })).toEqual([
      "wrong.ts(8,7): error TS2322: Type 'number' is not assignable to type 'string'.",
    ]);
  });
});
