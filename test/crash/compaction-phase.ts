import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../random.js';
import { EngineLives, type EngineResult } from './engine-lives.js';
import type { Life } from './life.js';
import { inDirectory } from './phase.js';

export interface CompactionResult extends EngineResult {
  /** How often it was seen that a segment was gone from under a message that was not settled. */
  readonly compactions: number;
  /** Kills that came so soon after one was seen that the next was under way, if it was not over. */
  readonly killsAtCompaction: number;
}

/** So long a life goes on after its first compaction; the next one decides its end. Milliseconds. */
const LIFE_MS_MAX = 150;
/** A compaction of a segment of 64 KiB takes about as long. Milliseconds. */
const AFTER_COMPACTION_MS_MAX = 8;
/** A life in which none is seen ends then. Milliseconds. */
const WITHOUT_COMPACTION_MS_MAX = 3000;

/** Messages are stuck while traffic goes by: the segments where they lie are emptied, one after the other. */
export function compactionPhase(kills: number, seed: number): Promise<CompactionResult> {
  const random = seededRandom(seed);
  return inDirectory('compaction', async (directory) => {
    const lives = new EngineLives('compaction', directory);
    let compactions = 0;
    let killsAtCompaction = 0;
    while (lives.kills < kills) {
      const [lifeMs, afterMs] = [random() * LIFE_MS_MAX, random() * AFTER_COMPACTION_MS_MAX];
      const ended = await lives.killed('work', async (life) => {
        await life.said('ready');
        const seen = await Promise.race([
          compactedFor(life, lifeMs),
          delay(WITHOUT_COMPACTION_MS_MAX, false, { ref: false }),
        ]);
        if (seen) killsAtCompaction++;
        await delay(afterMs);
      });
      compactions += ended.count('compacted');
    }
    return { kills, ...(await lives.verdict()), compactions, killsAtCompaction };
  });
}

/** The first one seen takes a while: it may be one of several before. From then on each is seen. */
async function compactedFor(life: Life, ms: number): Promise<boolean> {
  await life.said('compacted');
  await delay(ms);
  await life.next('compacted');
  return true;
}
