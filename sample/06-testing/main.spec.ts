import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { runBuilt } from '../built.js';
import { printedIn } from '../printed.js';

it('sells a seat on a disk of its own, and ends', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'nestmq-ferry-'));
  const ferry = runBuilt('06-testing/main.js', [], { cwd });
  const output = await ferry.until('on board');
  expect(await ferry.ended).toBe(0);
  // The passenger and the harbour are told at the same time.
  expect(output.trimEnd().split('\n').toSorted()).toEqual(printedIn('06-testing').toSorted());
  rmSync(cwd, { recursive: true });
});
