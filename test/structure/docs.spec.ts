import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { blocksIn, type CodeBlock, DOCUMENTS } from './markdown.js';

/** Documents whose code is tests for Node's runner, and how many. */
const RUN = { 'docs/getting-started.md': 1, 'docs/testing.md': 12 };
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

/*
 * The TypeScript of one document is one module, in its order, unless the comment before a block says:
 *
 *   <!-- a file of its own -->   the block is one
 *   <!-- with                    the block is one, with these lines before it, for what readers know
 *   import … -->
 *   <!-- in a class, with … -->  the same, for members of a class
 *   <!-- the same as FILE -->    it is compiled there, see readme.spec.ts
 */
function modulesOf(markdown: string): string[] {
  const blocks = blocksIn(markdown).filter(({ language }) => language === 'ts');
  const isCopy = ({ comment }: CodeBlock): boolean => comment?.startsWith('the same as ') === true;
  const together = blocks.filter(({ comment }) => comment === undefined);
  const apart = blocks.filter((block) => block.comment !== undefined && !isCopy(block));
  const modules = [together, ...apart.map((block) => [block])].filter((list) => list.length > 0);
  return modules.map((list) => moduleOf(markdown, list));
}

/** The document with all but some blocks blanked, so that what the compiler says has the document's line numbers. */
function moduleOf(markdown: string, blocks: readonly CodeBlock[]): string {
  const lines = markdown.split('\n').map(() => '');
  for (const { line, lines: code, comment = '', commentLine } of blocks) {
    const [head = '', ...preamble] = comment.split('\n');
    if (!/^(?:|a file of its own|with|in a class|in a class, with)$/.test(head))
      throw new Error(`Line ${commentLine + 1}: no test knows what '${head}' means.`);
    lines.splice(commentLine + 1, preamble.length, ...preamble);
    lines.splice(line, code.length, ...code);
    if (head.startsWith('in a class')) {
      lines[line - 1] = 'class Shown {';
      lines[line + code.length] = '}';
    }
  }
  return [...lines, 'export {};\n'].join('\n');
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

/** `docs/testing.md` is docs_testing, then docs_testing-1 and so on. */
const fileOf = (path: string, place = 0): string =>
  path.replace(/\.md$/, '').replaceAll('/', '_') + (place === 0 ? '' : `-${place}`);

/** Documents by their paths. */
async function compile(parent: string, documents: Readonly<Record<string, string>>): Promise<Compiled> {
  const directory = mkdtempSync(join(parent, 'docs-'));
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const [path, markdown] of Object.entries(documents)) {
    for (const [place, text] of modulesOf(markdown).entries())
      writeFileSync(join(directory, `${fileOf(path, place)}.ts`), text);
  }
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
  const documents = Object.fromEntries(DOCUMENTS.map((path) => [path, readFileSync(path, 'utf8')]));

  it('show code that compiles, and tests that pass', async () => {
    const { errors, directory } = await compile(parent, documents);
    expect(errors).toEqual([]);
    for (const [path, count] of Object.entries(RUN)) {
      const { code, output } = await run(join(directory, `${fileOf(path)}.js`));
      expect([path, code, /(?:#|ℹ) pass (\d+)/.exec(output)?.[1]]).toEqual([path, 0, String(count)]);
    }
  }, 120_000);

  it('show no other code, which nothing would check', () => {
    const languages = Object.values(documents).flatMap((markdown) =>
      blocksIn(markdown).map(({ language }) => language),
    );
    // Drawings and what is printed have none; for commands and JSON see commands.spec.ts.
    expect(new Set(languages)).toEqual(new Set(['', 'text', 'ts', 'sh', 'json']));
  });

  it('are found out when their code does not compile', async () => {
    const wrong = '# Wrong\n\n```ts\nconst a: number = 1;\n```\n\n```ts\nconst b: string = a;\n```\n';
    const alone = `${wrong}\n<!-- in a class, with\nconst c: string = 1; -->\n\n\`\`\`ts\nd: string = 2;\n\`\`\`\n`;
    expect((await compile(parent, { 'wrong.md': alone })).errors).toEqual([
      "wrong-1.ts(12,7): error TS2322: Type 'number' is not assignable to type 'string'.",
      "wrong-1.ts(15,1): error TS2322: Type 'number' is not assignable to type 'string'.",
      "wrong.ts(8,7): error TS2322: Type 'number' is not assignable to type 'string'.",
    ]);
    expect(() => modulesOf('<!-- with out -->\n\n```ts\n```\n')).toThrow('Line 1: no test knows');
  });
});
