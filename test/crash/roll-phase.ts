import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../random.js';
import { EngineLives, type EngineResult } from './engine-lives.js';
import { inDirectory } from './phase.js';
import { segmentsOf } from './segments.js';

export interface RollResult extends EngineResult {
  /** Segments that were begun. */
  readonly rolled: number;
  /** Segments that were removed. */
  readonly removed: number;
}

/** Kills come this long after the broker has opened. Milliseconds. */
const LIFE_MS_MAX = 250;

/** Segments are as small as they may be: they roll, and are removed, all the time. */
export function rollPhase(kills: number, seed: number): Promise<RollResult> {
  const random = seededRandom(seed);
  return inDirectory('roll', async (directory) => {
    const lives = new EngineLives('roll', directory);
    while (lives.kills < kills) {
      const afterMs = random() * LIFE_MS_MAX;
      await lives.killed('work', async (life) => {
        await life.said('ready');
        await delay(afterMs);
      });
    }
    const verdict = await lives.verdict();
    const { first, last } = segmentsOf(lives.store);
    return { kills, ...verdict, rolled: last - 1, removed: first - 1 };
  });
}
