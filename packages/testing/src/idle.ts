import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Broker, QueueState } from '@nestmq/broker';
import { type Duration, millisecondsOf } from '@nestmq/transport';

/** What is on its way in a broker. */
export interface Pending {
  /** Messages that wait in a queue with a consumer; where there is none nobody will come for them. */
  readonly ready: number;
  /** Messages that consumers have, and have not settled. */
  readonly unsettled: number;
  /** Messages that are delayed. */
  readonly delayed: number;
}

/** `except`: queues in which somebody keeps messages unsettled by design. */
export function pendingIn(broker: Broker, except: ReadonlySet<string> = new Set()): Pending {
  let [ready, unsettled] = [0, 0];
  for (const queue of broker.queues()) {
    if (queue.consumerCount > 0) ready += queue.messageCount;
    if (!except.has(queue.name)) unsettled += queue.unsettledCount;
  }
  return { ready, unsettled, delayed: broker.delayedCount() };
}

/** All that changes when a message moves. */
export function stateOf(broker: Broker): string {
  return `${broker.queues().map(countsOf).join()} ${broker.delayedCount()}`;
}

function countsOf({ messageCount, unsettledCount, consumerCount }: QueueState): string {
  return `${messageCount}/${unsettledCount}/${consumerCount}`;
}

/** How long something is waited for. */
export interface WaitOptions {
  /** Of real time, whatever the broker's clock is. A {@link Duration}. @default '2s' */
  readonly timeout?: Duration;
}

export const DEFAULT_TIMEOUT_MS = 2000;

/** Throws TypeError for what is no duration. */
export function timeoutOf({ timeout = DEFAULT_TIMEOUT_MS }: WaitOptions): number {
  const ms = millisecondsOf(timeout);
  if (ms !== undefined) return ms;
  throw new TypeError(`'timeout' is '${String(timeout)}'. Give milliseconds, or such as '500ms', '5s'.`);
}

/**
 * Looks once in each turn of the event loop until nothing is pending. Rejects with what `describe` says when it takes
 * longer than the timeout, or at once when `isStuck`: nothing but time could change it, and time stands still.
 */
export async function untilIdle(
  pending: () => Pending,
  { timeoutMs, isStuck, describe }: IdleInit,
): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs;
  // What was just done is on its way after a turn.
  await nextTurn();
  for (let now = pending(); now.ready + now.unsettled + now.delayed > 0; now = pending()) {
    if (isStuck && now.ready + now.unsettled === 0)
      throw new Error(
        `${now.delayed} message(s) are delayed, and time stands still: advance() it.${describe()}`,
      );
    if (performance.now() > giveUpAt)
      throw new Error(
        `Not idle after ${timeoutMs} ms: ${now.ready} message(s) ready, ${now.unsettled} unsettled, ${now.delayed} delayed.${describe()}`,
      );
    await nextTurn();
  }
}

interface IdleInit {
  readonly timeoutMs: number;
  readonly isStuck: boolean;
  /** What to add to an error. */
  readonly describe: () => string;
}
