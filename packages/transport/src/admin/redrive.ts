import type { Message } from '@nestmq/broker';
import { exchangeOf, HEADER } from '../envelope.js';
import { type Headers, OF_THE_WAY, propertiesFor } from '../handling/address.js';
import type { ForwardedMessage } from '../links/link.js';
import { asBeforeDeath, countOf } from './queued-message.js';

/** What tells why a message was given up, and what brokers note of its way: on its way back it is not true any more. */
const OF_THE_DEATH = [
  HEADER.attemptsBefore,
  HEADER.attempts,
  HEADER.reason,
  HEADER.errorName,
  HEADER.errorMessage,
  HEADER.errorStack,
  HEADER.queue,
  HEADER.deadAt,
  HEADER.dueAt,
  'x-last-death-exchange',
  'x-last-death-queue',
  'x-last-death-reason',
  ...OF_THE_WAY,
];

export interface Redrive {
  readonly id: string;
  readonly queue: string;
  readonly delayMs: number;
  readonly nowMs: number;
}

/** A dead letter on its way back to its queue: as it came there first, for those of its handlers that failed. */
export function redriven(message: Message, { id, queue, delayMs, nowMs }: Redrive): ForwardedMessage {
  const { headers: before = {} } = message.properties;
  const headers: Headers = { ...before };
  for (const key of OF_THE_DEATH) delete headers[key];
  const origin = asBeforeDeath(message);
  if (origin !== message) {
    // So that it is read as what it was, though it comes through the default exchange.
    headers[HEADER.exchange] = exchangeOf(origin);
    headers[HEADER.routingKey] = origin.routingKey;
  }
  headers[HEADER.redriven] = countOf(before[HEADER.redriven]) + 1;
  headers[HEADER.redrive] = id;
  if (delayMs > 0) headers[HEADER.dueAt] = nowMs + delayMs;
  return { exchange: '', routingKey: queue, properties: propertiesFor(message, headers), delayMs };
}
