import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Broker, QueueState } from '@nestmq/broker';
import { type Duration, millisecondsOf } from '@nestmq/transport';
import { QUIET_TURNS } from './test-clock.js';

/** What is on its way in a broker. */
export interface Pending {
  /** Messages that wait in a queue with a consumer; where there is none nobody will come for them. */
  readonly ready: number;
  /** Messages that consumers have, and have not settled. */
  readonly unsettled: number;
  /** Messages that are delayed. */
  readonly delayed: number;
  /** Messages that clients were told to send and have not, and requests without an answer; as far as it is known. */
  readonly underWay: number;
}

/** `except`: queues in which somebody keeps messages unsettled by design. */
export function pendingIn(broker: Broker, except: ReadonlySet<string> = new Set()): Pending {
  let [ready, unsettled] = [0, 0];
  for (const queue of broker.queues()) {
    if (queue.consumerCount > 0) ready += queue.messageCount;
    if (!except.has(queue.name)) unsettled += queue.unsettledCount;
  }
  return { ready, unsettled, delayed: broker.delayedCount(), underWay: 0 };
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
  /** Of real time, whatever the broker's clock is. A {@link Duration}, of 24 days at most. @default '2s' */
  readonly timeout?: Duration;
}

export const DEFAULT_TIMEOUT_MS = 2000;
/** A timer can't wait for longer: 24 days. */
const TIMEOUT_MS_MAX = 24 * 86_400_000;

/** Throws TypeError for what is no duration, or too long. */
export function timeoutOf({ timeout = DEFAULT_TIMEOUT_MS }: WaitOptions): number {
  const ms = millisecondsOf(timeout);
  if (ms !== undefined && ms <= TIMEOUT_MS_MAX) return ms;
  throw new TypeError(
    `'timeout' is '${String(timeout)}'. Give milliseconds, or such as '500ms', '5s'; 24 days at most.`,
  );
}

/**
 * Looks once in each turn of the event loop until nothing is pending, and nothing has changed for some turns: what is in a
 * socket of this process comes out of it by then. Rejects with what `describe` says when it takes longer than the timeout; and
 * without waiting for that when time stands still, and all that is left is delayed.
 */
export async function untilIdle(pending: () => Pending, init: IdleInit): Promise<void> {
  const { timeoutMs, isManual, state, describe } = init;
  const giveUpAt = performance.now() + timeoutMs;
  let before = '';
  for (let still = 0; ; still++) {
    await nextTurn();
    const { ready, unsettled, delayed, underWay } = pending();
    const now = [state(), ready, unsettled, delayed, underWay].join();
    if (now !== before) still = 0;
    before = now;
    const isOver = performance.now() > giveUpAt;
    if (still < QUIET_TURNS && !isOver) continue;
    if (ready + unsettled + delayed + underWay === 0) return;
    if (isManual && ready + unsettled + underWay === 0)
      throw new Error(`${delayed} message(s) are delayed, and time stands still: advance() it.${describe()}`);
    if (isOver) throw new Error(`${notIdle(timeoutMs, pending(), isManual)}${describe()}`);
  }
}

function notIdle(
  timeoutMs: number,
  { ready, unsettled, delayed, underWay }: Pending,
  isManual: boolean,
): string {
  const sending = underWay === 0 ? '' : `, ${underWay} not sent yet or without an answer`;
  const hint = isManual
    ? ' Time stands still: if they wait for it (a batch, a rate, an order, a time limit), advance() it.'
    : '';
  return `Not idle after ${timeoutMs} ms: ${ready} message(s) ready, ${unsettled} unsettled, ${delayed} delayed${sending}.${hint}`;
}

interface IdleInit {
  readonly timeoutMs: number;
  /** Whether time stands still. */
  readonly isManual: boolean;
  /** Changes with all that a message does. */
  readonly state: () => string;
  /** What to add to an error. */
  readonly describe: () => string;
}
