import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Life } from './life.js';

const DEADLY = 3;
const OTHERS = [1, 2, 4, 5, 6];

describe('a message whose handler kills the process', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'nestmq-deadly-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it.each([2, 5])(
    'is dead-lettered after %d more deaths, and no other is, though all are in hand when it dies, in another queue too',
    async (limit) => {
      const home = mkdtempSync(join(directory, 'home-'));
      const logged = (): string[] => readFileSync(join(home, 'log.txt'), 'utf8').trim().split('\n');
      const args = [home, String(limit)];
      // The first life in which it is found is the second: what is new is not counted.
      for (let life = 0; life <= limit; life++) {
        const deadly = new Life('deadly-worker', life === 0 ? [...args, 'publish'] : args);
        expect(await deadly.ended).toBe('SIGKILL');
      }
      const last = new Life('deadly-worker', args);
      await last.finished();

      const why = `It was in hand ${limit + 1} times when the process ended, or given back as failed.`;
      expect(last.count(JSON.stringify([DEADLY, 'delivery-limit', why]))).toBe(1);
      expect(logged().filter((line) => line === `begin ${DEADLY}`)).toHaveLength(limit + 1);
      const ended = logged().filter((line) => line.startsWith('end'));
      expect(ended.filter((line) => line !== 'end report')).toEqual(OTHERS.map((id) => `end ${id}`));
      expect(ended).toContain('end report');
    },
    60_000,
  );
});
