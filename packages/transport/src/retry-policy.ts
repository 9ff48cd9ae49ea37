import { HandlerTimeoutException } from './retry.exceptions.js';

/**
 * A class of errors, as `instanceof` takes it.
 *
 * @publicApi
 */
export type ErrorClass = abstract new (...parameters: never[]) => Error;

export interface RetryPolicyInit {
  readonly attempts: number;
  /** The first wait, or the wait after each attempt. Milliseconds. */
  readonly delaysMs: number | readonly number[];
  /** By what a single delay grows with each attempt; 1 is fixed. */
  readonly factor: number;
  readonly maxDelayMs: number;
  /** 0 to 1. */
  readonly jitter: number;
  /** Undefined: all. */
  readonly on: readonly ErrorClass[] | undefined;
  readonly except: readonly ErrorClass[];
}

/** Whether a failed message is tried again, and when. */
export class RetryPolicy {
  readonly #init: RetryPolicyInit;

  constructor(init: RetryPolicyInit) {
    this.#init = init;
  }

  /** As it was made. */
  get init(): RetryPolicyInit {
    return this.#init;
  }

  get attempts(): number {
    return this.#init.attempts;
  }

  /** Whether an error of this class is worth another attempt. Too little time is, unless it is excepted. */
  mayRetry(error: unknown): boolean {
    const { on, except } = this.#init;
    if (except.some((one) => error instanceof one)) return false;
    if (on === undefined || error instanceof HandlerTimeoutException) return true;
    return on.some((one) => error instanceof one);
  }

  /** The wait after a failed attempt (1 is the first), in whole milliseconds. `random` gives 0 to 1. */
  delayAfter(attempt: number, random: () => number = Math.random): number {
    const whole = this.#wholeDelay(attempt);
    return Math.round(whole * (1 - this.#init.jitter * random()));
  }

  #wholeDelay(attempt: number): number {
    const { delaysMs, factor, maxDelayMs } = this.#init;
    if (typeof delaysMs !== 'number') return delaysMs[Math.min(attempt, delaysMs.length) - 1] as number;
    // Zero times Infinity is no number.
    if (delaysMs === 0) return 0;
    // Infinity, for many attempts, is more than the maximum too.
    return Math.min(delaysMs * factor ** (attempt - 1), maxDelayMs);
  }
}

/** What handlers have that say nothing. */
export const DEFAULT_RETRY: RetryPolicy = new RetryPolicy({
  attempts: 5,
  delaysMs: 250,
  factor: 2,
  maxDelayMs: 60_000,
  jitter: 0.2,
  on: undefined,
  except: [],
});
