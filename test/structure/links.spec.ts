import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { DOCUMENTS } from './markdown.js';

/** Outside of code, `[text](target)`; targets with a scheme are not ours. */
function linksIn(document: string): string[] {
  const text = readFileSync(document, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target as string);
  return targets.filter((target) => !/^\w+:/.test(target));
}

/** As GitHub makes them of headings. */
function anchorsIn(document: string): string[] {
  const headings = readFileSync(document, 'utf8').match(/^#+ .*$/gm) ?? [];
  return headings.map((heading) =>
    heading
      .replace(/^#+ /, '')
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function isThere(document: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const file = path === '' ? document : join(dirname(document), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || anchorsIn(file).includes(anchor);
}

describe('the documents', () => {
  it('link to what is there', () => {
    expect(DOCUMENTS.length).toBeGreaterThan(50);
    const broken = DOCUMENTS.flatMap((document) =>
      linksIn(document)
        .filter((target) => !isThere(document, target))
        .map((target) => `${document}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it('are all in docs/README.md, by the question that they answer', () => {
    const listed = new Set(linksIn('docs/README.md').map((target) => join('docs', target)));
    const pages = DOCUMENTS.filter((path) => /^docs\/[\w-]+\.md$/.test(path) && path !== 'docs/README.md');
    expect(pages.length).toBeGreaterThan(10);
    expect(pages.filter((path) => !listed.has(path))).toEqual([]);
  });

  it('would be found out', () => {
    const [readme = ''] = DOCUMENTS;
    expect(isThere(readme, 'docs/nothing.md')).toBe(false);
    expect(isThere(readme, 'docs/handlers.md#nothing')).toBe(false);
    expect(isThere(readme, 'docs/handlers.md#in-order')).toBe(true);
  });
});
