import { readFileSync } from 'node:fs';

/** What the README of a sample says that it prints, line by line. Throws where it says nothing. */
export function printedIn(sample: string): string[] {
  const [, block] =
    /\n```text\n([\s\S]*?)\n```/.exec(readFileSync(`sample/${sample}/README.md`, 'utf8')) ?? [];
  if (block === undefined) throw new Error(`The README of ${sample} has no block of text.`);
  return block.split('\n');
}
