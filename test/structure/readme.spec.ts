import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

describe('the README', () => {
  it('shows the application of the tour as it is in sample/tour, where it is compiled and run', () => {
    const block = /<!-- the same as sample\/tour\/main.ts -->\n\n```ts\n([\s\S]*?)```/.exec(
      readFileSync('README.md', 'utf8'),
    );
    expect(block?.[1]).toBe(readFileSync('sample/tour/main.ts', 'utf8'));
  });
});
