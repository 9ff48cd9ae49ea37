import { pick } from '../random.spec.support.js';
import type { Marks, QueueMark } from './message-store.js';

export const UNMARKED: QueueMark = { expiresAt: 0, readyAt: 0, priority: 0 };

/** Mostly something; sometimes a mark that says nothing, sometimes none. */
export function randomMark(random: () => number): QueueMark | undefined {
  if (random() < 0.3) return undefined;
  return {
    expiresAt: randomTime(random),
    readyAt: randomTime(random),
    priority: random() < 0.5 ? 0 : pick(random, 256),
  };
}

/** Milliseconds since 1970, or 0. */
export function randomTime(random: () => number): number {
  return random() < 0.5 ? 0 : 1_800_000_000_000 + pick(random, 2 ** 32);
}

/** One for each queue; or none at all, as most messages have it. */
export function randomMarks(random: () => number, queueIds: readonly number[]): Marks | undefined {
  return random() < 0.4 ? undefined : queueIds.map(() => randomMark(random));
}
