import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../random.js';
import { Life } from './life.js';

const KILLS = 6;
/** Messages that may be between the end of their handler and their settlement when it is killed: what is prefetched. */
const IN_FLIGHT = 2 * 20;
const HANDLED_MAX = 400;

describe('an application that is killed with SIGKILL, with handlers that have deduplication and a schedule', () => {
  it('hands nothing out again that was settled, and little of the rest', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'nestmq-inbox-'));
    const handled = (): string[] => readFileSync(join(directory, 'handled.txt'), 'utf8').trim().split('\n');
    const seed = Math.floor(Math.random() * 2 ** 32);
    const random = seededRandom(seed);
    for (let kill = 0; kill < KILLS; kill++) {
      const life = new Life('inbox-worker', [directory, String(kill * 1_000_000)]);
      const enough = 1 + Math.floor(random() * HANDLED_MAX);
      while (life.count('handled') < enough) await life.next('handled');
      await life.kill();
    }
    await new Life('inbox-worker', [directory, 'drain']).finished();
    const isNumber = (id: string): boolean => /^\d+$/.test(id);
    const publishedAgain = async (): Promise<string[]> => {
      const before = handled().length;
      await new Life('inbox-worker', [directory, 'again']).finished();
      return handled().slice(before).filter(isNumber);
    };
    const before = handled();
    // A message that was handled before it was on the disk, and whose publisher was not told that it is, is gone after a kill.
    const unconfirmed = await publishedAgain();
    const again = await publishedAgain();
    const repeated = before.length - new Set(before).size;
    // The seed, so that a failure can be repeated.
    expect({ seed, again }).toEqual({ seed, again: [] });
    const isBounded = repeated + unconfirmed.length <= KILLS * IN_FLIGHT;
    expect({ seed, isBounded }).toEqual({ seed, isBounded: true });
    const ticks = handled().filter((id) => !isNumber(id));
    // Else nothing was shown.
    expect(before.length).toBeGreaterThan(KILLS * 10);
    expect(ticks.length).toBeGreaterThan(1);
    rmSync(directory, { recursive: true, force: true });
  }, 120_000);
});
