import { type ErrorClass, RetryPolicy } from './retry-policy.js';
import { assertKeys, describe, type Duration, integer, retryDelay, table } from './option-checks.js';
import { QueueOptionsException } from './queue.exceptions.js';

/**
 * What happens when an event's handler fails. What a handler does not give is the module's, and what that does not give
 * either has the default here.
 *
 * @publicApi
 */
export interface RetryOptions {
  /**
   * How often an event is handed to its handler in all, until it is dead-lettered. 1 is no second try.
   * Whole number, 1 to 1000. @default 5
   */
  readonly attempts?: number;
  /**
   * How long the message waits before the next attempt; others go on meanwhile. A list has the wait after each
   * attempt, its last for all that follow. Milliseconds or `'5s'`, up to 30 days. @default 250
   */
  readonly delay?: Duration | readonly Duration[];
  /** How a single `delay` grows. @default 'exponential' */
  readonly backoff?: 'fixed' | 'exponential';
  /** By what an exponential delay grows with each attempt. 1 to 100. @default 2 */
  readonly factor?: number;
  /** What an exponential delay never exceeds. @default '1m' */
  readonly maxDelay?: Duration;
  /** Which part of a delay is random, so that what failed together does not come back together. 0 to 1. @default 0.2 */
  readonly jitter?: number;
  /** Only errors of these classes are tried again, and what took too long. @default all */
  readonly on?: readonly ErrorClass[];
  /** Errors of these classes are not tried again. @default none */
  readonly except?: readonly ErrorClass[];
}

/** What is not given is the fallback's, also single keys. */
export function retryPolicyOf(key: string, options: unknown, fallback: RetryPolicy): RetryPolicy {
  if (options === undefined) return fallback;
  const retry = table(key, options) as RetryOptions;
  assertKeys(key, retry, ['attempts', 'delay', 'backoff', 'factor', 'maxDelay', 'jitter', 'on', 'except']);
  const { init } = fallback;
  const delaysMs = delaysOf(`${key}.delay`, retry.delay) ?? init.delaysMs;
  assertDelayMeant(key, retry, delaysMs);
  return new RetryPolicy({
    attempts: integer(`${key}.attempts`, retry.attempts, init.attempts, 1, 1000),
    delaysMs,
    factor: factorOf(key, retry, init.factor),
    maxDelayMs: maxDelayOf(`${key}.maxDelay`, retry.maxDelay, delaysMs, init.maxDelayMs),
    jitter: real(`${key}.jitter`, retry.jitter, init.jitter, 0, 1),
    on: errorClasses(`${key}.on`, retry.on) ?? init.on,
    except: errorClasses(`${key}.except`, retry.except) ?? init.except,
  });
}

function delaysOf(key: string, delay: unknown): number | readonly number[] | undefined {
  if (delay === undefined) return undefined;
  const each = (value: unknown): number => retryDelay(key, value ?? null, 0);
  return Array.isArray(delay) ? list(key, delay).map(each) : each(delay);
}

function factorOf(key: string, { backoff, factor }: RetryOptions, fallback: number): number {
  if (backoff !== undefined && backoff !== 'fixed' && backoff !== 'exponential') {
    throw new QueueOptionsException(
      `'${key}.backoff' is ${describe(backoff)}.`,
      "Give 'fixed' or 'exponential'.",
    );
  }
  const given = real(
    `${key}.factor`,
    factor,
    backoff === 'exponential' && fallback === 1 ? 2 : fallback,
    1,
    100,
  );
  return backoff === 'fixed' ? 1 : given;
}

/** What says how a delay grows is not for one that does not. */
function assertDelayMeant(
  key: string,
  { backoff, factor, maxDelay }: RetryOptions,
  delaysMs: number | readonly number[],
): void {
  if (
    typeof delaysMs !== 'number' &&
    (backoff !== undefined || factor !== undefined || maxDelay !== undefined)
  ) {
    throw new QueueOptionsException(
      `'${key}' has a list of delays, and a backoff, factor or maxDelay.`,
      'A list says each delay; give a single delay, or the list alone.',
    );
  }
  if (backoff === 'fixed' && (factor !== undefined || maxDelay !== undefined)) {
    throw new QueueOptionsException(
      `'${key}' has a fixed backoff, and a factor or maxDelay.`,
      "Those are for backoff: 'exponential'.",
    );
  }
}

/** Undefined: the fallback, or the delay itself where that is longer. */
function maxDelayOf(
  key: string,
  value: unknown,
  delaysMs: number | readonly number[],
  fallbackMs: number,
): number {
  const first = typeof delaysMs === 'number' ? delaysMs : 0;
  const maxMs = retryDelay(key, value, Math.max(fallbackMs, first));
  if (maxMs >= first) return maxMs;
  throw new QueueOptionsException(
    `'${key}' is ${maxMs} ms, less than the first delay of ${first} ms.`,
    'Give at least the delay.',
  );
}

function list(key: string, value: readonly unknown[]): readonly unknown[] {
  if (value.length > 0) return value;
  throw new QueueOptionsException(`'${key}' is an empty list.`, 'Give at least one delay.');
}

function errorClasses(key: string, value: unknown): readonly ErrorClass[] | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value) && value.every(isErrorClass)) return value as ErrorClass[];
  throw new QueueOptionsException(`'${key}' is ${describe(value)}.`, 'Give a list of error classes.');
}

/** Not every function is a class: `instanceof` would throw. */
function isErrorClass(value: unknown): boolean {
  return typeof value === 'function' && (value === Error || (value.prototype as unknown) instanceof Error);
}

function real(key: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && value >= min && value <= max) return value;
  throw new QueueOptionsException(`'${key}' is ${describe(value)}.`, `Give a number from ${min} to ${max}.`);
}
