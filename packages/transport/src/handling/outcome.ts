import type { DeadLetterReason } from '../envelope.js';
import { RetryLaterException, UnrecoverableException } from '../retry.exceptions.js';
import type { RetryPolicy } from '../retry-policy.js';

/** What becomes of a message, as far as one of its handlers is concerned. */
export type Outcome =
  | { readonly kind: 'done' }
  /** Another attempt after `delayMs`. `counts`: this one is used up. */
  | { readonly kind: 'retry'; readonly delayMs: number; readonly counts: boolean; readonly error: unknown }
  | { readonly kind: 'dead'; readonly reason: DeadLetterReason; readonly error: unknown }
  /** Back to its place at once: the handler has not had it. */
  | { readonly kind: 'requeue' };

export const DONE: Outcome = { kind: 'done' };
export const REQUEUE: Outcome = { kind: 'requeue' };

/** What follows from an error in an attempt (1 is the first). */
export function outcomeOf(error: unknown, attempt: number, retry: RetryPolicy): Outcome {
  if (error instanceof UnrecoverableException) return { kind: 'dead', reason: 'unrecoverable', error };
  if (error instanceof RetryLaterException) return retryLater(error, attempt, retry);
  if (attempt >= retry.attempts || !retry.mayRetry(error)) return { kind: 'dead', reason: 'attempts', error };
  return { kind: 'retry', delayMs: retry.delayAfter(attempt), counts: true, error };
}

function retryLater(error: RetryLaterException, attempt: number, retry: RetryPolicy): Outcome {
  const { delayMs = retry.delayAfter(attempt), counts } = error;
  if (counts && attempt >= retry.attempts) return { kind: 'dead', reason: 'attempts', error };
  return { kind: 'retry', delayMs, counts, error };
}
