import type { FieldValue } from '@nestmq/broker';
import { describeError, nameOfError, stackOfError } from '../describe-error.js';
import { type DeadLetterReason, HEADER } from '../envelope.js';
import type { ForwardedMessage, LinkDelivery } from '../links/link.js';
import { headersFor, type Origin, propertiesFor } from './address.js';

export interface DeadLetterCause {
  /** Where it was, and where its dead letters go. */
  readonly queue: string;
  readonly deadLetterQueue: string;
  readonly reason: DeadLetterReason;
  readonly error: unknown;
  /** How often it was tried. */
  readonly attempts: number;
  readonly nowMs: number;
}

/** A message on its way to the dead letters: as it was, and why it was given up. */
export function deadLetter(
  { message }: LinkDelivery,
  origin: Origin,
  handlers: readonly unknown[] | undefined,
  cause: DeadLetterCause,
): ForwardedMessage {
  const { expiration: _, ...properties } = propertiesFor(message, {
    ...headersFor(message, origin, { attempts: 0, handlers, dueAt: undefined }),
    [HEADER.reason]: cause.reason,
    ...errorHeaders(cause.error),
    [HEADER.attempts]: cause.attempts,
    [HEADER.queue]: cause.queue,
    [HEADER.deadAt]: new Date(cause.nowMs).toISOString(),
  });
  // Without expiration: a dead letter is kept until somebody looks at it.
  return { exchange: '', routingKey: cause.deadLetterQueue, properties };
}

function errorHeaders(error: unknown): Record<string, FieldValue> {
  if (error === undefined) return {};
  return {
    [HEADER.errorName]: nameOfError(error),
    [HEADER.errorMessage]: describeError(error),
    [HEADER.errorStack]: stackOfError(error),
  };
}
