import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { printedIn } from '../printed.js';
import { run } from './run.js';

it('has each thing at its time, and those of one article in their order', async () => {
  expect(await run(`memory:${randomUUID()}`)).toEqual(printedIn('05-scheduled-and-ordered'));
});
