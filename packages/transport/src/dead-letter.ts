import type { FieldValue, Message } from '@nestmq/broker';
import { describeError, nameOfError, stackOfError } from './describe-error.js';
import { deadLetterQueueOf, HEADER } from './envelope.js';
import type { LinkDelivery } from './links/link.js';

export interface DeadLetterCause {
  readonly queue: string;
  /** `attempts`: all were used up. `no-handler`: nobody here handles it. `unreadable`: the body is not JSON. */
  readonly reason: 'attempts' | 'no-handler' | 'unreadable';
  readonly error: unknown;
  readonly attempts: number;
  readonly nowMs: number;
}

/** The envelope under which a message goes to its queue's dead letters: as it was, and why it was given up. */
export function deadLetter(delivery: LinkDelivery, cause: DeadLetterCause): Omit<Message, 'body'> {
  const { exchange, routingKey, properties } = delivery.message;
  const headers: Record<string, FieldValue | undefined> = { ...properties.headers };
  // Put at the end of its queue once, it came through the default exchange: its own origin is in the header.
  const origin = exchange === '' ? headers[HEADER.routingKey] : undefined;
  delete headers[HEADER.handlers];
  delete headers[HEADER.attemptsBefore];
  return {
    exchange: '',
    routingKey: deadLetterQueueOf(cause.queue),
    properties: {
      ...properties,
      headers: {
        ...headers,
        [HEADER.reason]: cause.reason,
        ...errorHeaders(cause.error),
        [HEADER.attempts]: cause.attempts,
        [HEADER.queue]: cause.queue,
        [HEADER.exchange]: exchange,
        [HEADER.routingKey]: origin ?? routingKey,
        [HEADER.deadAt]: new Date(cause.nowMs).toISOString(),
      },
    },
  };
}

function errorHeaders(error: unknown): Record<string, FieldValue> {
  if (error === undefined) return {};
  return {
    [HEADER.errorName]: nameOfError(error),
    [HEADER.errorMessage]: describeError(error),
    [HEADER.errorStack]: stackOfError(error),
  };
}
