import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Where people read. */
const ROOTS = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs', 'sample', 'packages'];

/** The paths of all documents, from the root of the project. */
export const DOCUMENTS: readonly string[] = ROOTS.flatMap(documentsIn);

function documentsIn(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return names
    .filter((name) => name.endsWith('.md') && !/(?:^|\/)(?:node_modules|dist|api)\//.test(name))
    .map((name) => join(path, name));
}

/** What stands between two fences. */
export interface CodeBlock {
  /** Empty for a drawing. */
  readonly language: string;
  /** Of the first line of the code, 0 for the first of the document. */
  readonly line: number;
  readonly lines: readonly string[];
  /** The comment in the paragraph before it: what a test has to know, and a reader need not. */
  readonly comment: string | undefined;
  /** Of the first line of the comment. */
  readonly commentLine: number;
}

const FENCE = /^```(\w*)$/;

/** All code of a document, in its order. Throws where a fence is not closed. */
export function blocksIn(markdown: string): CodeBlock[] {
  const lines = markdown.split('\n');
  const blocks: CodeBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const fence = FENCE.exec(lines[at] ?? '');
    if (fence === null) continue;
    const end = lines.indexOf('```', at + 1);
    if (end === -1) throw new Error(`The block in line ${at + 1} does not end.`);
    const before = commentBefore(lines, at);
    blocks.push({ language: fence[1] ?? '', line: at + 1, lines: lines.slice(at + 1, end), ...before });
    at = end;
  }
  return blocks;
}

/** An HTML comment that is all of the paragraph before a line. */
function commentBefore(lines: readonly string[], at: number): Pick<CodeBlock, 'comment' | 'commentLine'> {
  const none = { comment: undefined, commentLine: -1 };
  if (lines[at - 1] !== '' || lines[at - 2]?.endsWith('-->') !== true) return none;
  const start = lines.slice(0, at - 1).findLastIndex((line) => line.startsWith('<!--'));
  if (start === -1) return none;
  const comment = lines.slice(start, at - 1).join('\n');
  return { comment: comment.slice('<!--'.length, -'-->'.length).trim(), commentLine: start };
}
