import { once } from 'node:events';
import { watch } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '../random.js';
import { EngineLives, type EngineResult } from './engine-lives.js';
import type { Life } from './life.js';
import { inDirectory } from './phase.js';
import { segmentBytesOf } from './segments.js';

export interface RecoveryResult extends EngineResult {
  /** Kills that came before the broker had opened. */
  readonly killsAtOpening: number;
  /** Of the journal, before the first of them. */
  readonly journalBytes: number;
  /** How long the last opening took that was not killed. */
  readonly openingMs: number;
}

const JOURNAL_BYTES = 32 * 1024 * 1024;
/** A life between openings ends so long after it has opened, with another tail. Milliseconds. */
const LIFE_MS_MAX = 100;
/** Every second opening ends so soon after it has begun to change the journal, a third of these at once. Milliseconds. */
const AFTER_CHANGE_MS_MAX = 3;
/** Openings that are killed in a row. */
const IN_A_ROW_MAX = 8;

/** A large journal, and a process that is killed again and again before it has read it. */
export function recoveryPhase(
  kills: number,
  seed: number,
  journalBytesMin = JOURNAL_BYTES,
): Promise<RecoveryResult> {
  const random = seededRandom(seed);
  return inDirectory('recovery', async (directory) => {
    const lives = new EngineLives('recovery', directory);
    const journalBytes = await filled(lives, journalBytesMin);
    let [killsAtOpening, openingMs] = [0, 0];
    while (lives.kills < kills) {
      openingMs = await opened(lives, random() * LIFE_MS_MAX);
      const inARow = 1 + Math.floor(random() * IN_A_ROW_MAX);
      for (let i = 0; i < inARow && lives.kills < kills; i++) {
        const afterMs = random() * (i % 2 === 0 ? openingMs : AFTER_CHANGE_MS_MAX);
        const atOpening = await killedWhileOpening(lives, (life) =>
          i % 2 === 0 ? delay(afterMs) : firstChange(lives, life, afterMs),
        );
        if (atOpening) killsAtOpening++;
      }
    }
    return { kills, ...(await lives.verdict()), killsAtOpening, journalBytes, openingMs };
  });
}

/** A life that publishes, and settles every second message, until the journal is large. */
async function filled(lives: EngineLives, journalBytesMin: number): Promise<number> {
  await lives.killed('work', async (life) => {
    while (!life.count('ready') || segmentBytesOf(lives.store) < journalBytesMin) await life.next('more');
  });
  return segmentBytesOf(lives.store);
}

/** A life that opens and works for a while; resolves with how long its opening took. */
async function opened(lives: EngineLives, lifeMs: number): Promise<number> {
  let openingMs = 0;
  await lives.killed('work', async (life) => {
    await life.said('opening');
    const from = performance.now();
    await life.said('ready');
    openingMs = performance.now() - from;
    await delay(lifeMs);
  });
  return openingMs;
}

/** Resolves with whether the kill came before the broker had opened. */
async function killedWhileOpening(
  lives: EngineLives,
  moment: (life: Life) => Promise<unknown>,
): Promise<boolean> {
  const ended = await lives.killed('work', async (life) => {
    await life.said('opening');
    await moment(life);
  });
  return ended.count('ready') === 0;
}

/** When the opening changes something on the disk, at the latest when it is done. */
async function firstChange(lives: EngineLives, life: Life, afterMs: number): Promise<void> {
  const watcher = watch(`${lives.store}/journal`);
  try {
    await Promise.race([once(watcher, 'change'), life.said('ready')]);
    // A timer takes a millisecond at least; most changes are over by then.
    if (afterMs >= 1) await delay(afterMs);
  } finally {
    watcher.close();
  }
}
