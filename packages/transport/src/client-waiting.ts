import { describeError } from './describe-error.js';
import { NoHandlerException, QueueUnavailableException } from './queue.exceptions.js';

/** Messages of a client that wait for the connection, or to be encoded: more would fill memory. */
export const WAITING_MAX = 10_000;

/** Patterns may be made up without end; warning about some is enough. */
export const UNHEARD_PATTERNS_MAX = 1000;

/** To a queue of Nest's own transport the routing key is the queue. */
export function namingPattern(error: Error, pattern: string): Error {
  return error instanceof NoHandlerException ? new NoHandlerException(pattern) : error;
}

export function tooManyWait(): Error {
  return new QueueUnavailableException(
    `${WAITING_MAX} messages wait already, for the connection or to be encoded. Send it again when it is there: 'status' tells.`,
  );
}

export function stillAway(timeoutMs: number): Error {
  return new QueueUnavailableException(
    `The broker was away for ${timeoutMs} ms, and the request was not sent. Send it again when it is back: 'status' tells.`,
  );
}

export function answerLost(cause: Error): Error {
  return new QueueUnavailableException(
    `The connection to the broker was lost before the answer came: ${describeError(cause)}. The request may have been handled, or may still be.`,
    { cause },
  );
}
