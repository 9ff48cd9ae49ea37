import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

const SOURCE = 'packages/transport/src';

/** What the index exports, with the file that it is in. */
const exported = [
  ...readFileSync(`${SOURCE}/index.ts`, 'utf8').matchAll(
    /export (?:type )?\{([^}]*)\} from '\.\/([^']+)\.js'/g,
  ),
].flatMap(([, names = '', file = '']) =>
  names
    .split(',')
    .map((name) => name.replace(/\btype\b|\bas\b.*/g, '').trim())
    .filter((name) => name !== '')
    .map((name) => [name, file] as const),
);

describe("the transport's index", () => {
  it.each(exported)('exports %s, which %s says to be public, and what it is', (name, file) => {
    const text = readFileSync(`${SOURCE}/${file}.ts`, 'utf8');
    const [before = ''] = text.split(
      new RegExp(`^export (?:class|interface|type|function|const|async function) ${name}\\b`, 'm'),
    );
    const comment = before.slice(before.lastIndexOf('/**'));
    const [doc = '', rest = ''] = comment.split('*/\n');
    expect(doc).toContain('@publicApi');
    expect(doc).toMatch(/\w+ \w+ \w+/);
    // Nothing but decorators and a remark may stand between.
    expect(rest.replaceAll(/^(?:@|\/\/).*\n/gm, '')).toBe('');
  });
});
