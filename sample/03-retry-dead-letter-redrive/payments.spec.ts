import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { printedIn } from '../printed.js';
import { run } from './run.js';

it('retries what may work later, gives up what never will, and gets back what an operator chooses', async () => {
  expect(await run(`memory:${randomUUID()}`)).toEqual(printedIn('03-retry-dead-letter-redrive'));
});
