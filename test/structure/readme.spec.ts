import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

/** Where code stands that is compiled and run elsewhere. */
const COPIES = [
  ['README.md', 'sample/tour/main.ts'],
  ['packages/testing/README.md', 'test/integration/testing/node-test.example.ts'],
  ['packages/testing/README.md', 'test/integration/testing/vitest/signup.test.ts'],
] as const;

describe('a README', () => {
  it.each(COPIES)('%s shows %s as it is there, where it is compiled and run', (readme, source) => {
    const [, after = ''] = readFileSync(readme, 'utf8').split(`<!-- the same as ${source} -->\n\n\`\`\`ts\n`);
    expect(after.split('```')[0]).toBe(readFileSync(source, 'utf8'));
  });
});
