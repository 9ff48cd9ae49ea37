import { hasExpiration } from '../message/expiration.js';
import type { Message } from '../message/message.js';
import type { Appended, Marks } from '../store/message-store.js';
import { type EntryMark, storedMark } from './entry-mark.js';
import type { Target } from './delay-queue.js';

/** Which of the queues that a message is routed to take it, as a store wants to know them. */
export interface Acceptance {
  readonly queues: readonly Target[];
  /** Ids of the durable ones. */
  readonly journaled: readonly number[];
  /** How many the others are. */
  readonly others: number;
  /** For the durable ones; undefined where no queue has anything to know. */
  readonly marks: Marks | undefined;
  /** What each queue has to know, in the order of `queues`. */
  readonly entryMarks: readonly (EntryMark | undefined)[];
  /** Those that are full. */
  readonly rejecting: readonly Target[];
}

/** What comes into a queue before a message, and is not there yet. */
export interface Ahead {
  readonly count: number;
  /** Of their bodies. */
  readonly bytes: number;
}

export const NOTHING_AHEAD: Ahead = { count: 0, bytes: 0 };

/** Some of them may refuse the message, or have to know more of it than where it is. */
export function isRuled(queues: ReadonlySet<Target>, message: Message): boolean {
  if (hasExpiration(message)) return true;
  for (const queue of queues) if (queue.isRuled) return true;
  return false;
}

/**
 * Asks each queue; `ahead` is what comes into it before the message, in the same step. Throws PRECONDITION_FAILED for a
 * bad expiration.
 */
export function accept(
  routed: Iterable<Target>,
  message: Message,
  now: number,
  ahead?: ReadonlyMap<Target, Ahead>,
): Acceptance {
  const queues: Target[] = [];
  const rejecting: Target[] = [];
  for (const queue of routed) {
    const isRejecting = queue.rejects(message, ahead?.get(queue));
    (isRejecting ? rejecting : queues).push(queue);
  }
  const entryMarks = queues.map((queue) => queue.markOf(message, now));
  const journaled = queues.filter(({ init }) => init.durable).map(({ id }) => id);
  const stored = entryMarks.filter((_, i) => queues[i]?.init.durable === true).map(storedMark);
  const marks = stored.some((mark) => mark !== undefined) ? stored : undefined;
  return { queues, journaled, others: queues.length - journaled.length, marks, entryMarks, rejecting };
}

/** The message was stored for those who take it. */
export function enqueueAll({ queues, entryMarks }: Acceptance, appended: Appended, message: Message): void {
  for (const [i, queue] of queues.entries()) queue.enqueue(appended, message, entryMarks[i]);
}
