import type { Message } from '@nestmq/broker';
import { HEADER } from '../envelope.js';
import { type Headers, headersFor, progressOf } from '../handling/address.js';
import type { ForwardedMessage } from '../links/link.js';
import { countOf, placeOf } from './queued-message.js';

/** What tells why a message was given up: on its way back it is not true any more. */
const OF_THE_DEATH = [
  HEADER.attemptsBefore,
  HEADER.attempts,
  HEADER.reason,
  HEADER.errorName,
  HEADER.errorMessage,
  HEADER.errorStack,
  HEADER.queue,
  HEADER.deadAt,
  'x-death',
  'x-first-death-exchange',
  'x-first-death-queue',
  'x-first-death-reason',
  'x-last-death-exchange',
  'x-last-death-queue',
  'x-last-death-reason',
];

const OF_THE_PLACE = [HEADER.exchange, HEADER.routingKey];

/** A dead letter on its way back to its queue: as it came there first, for those of its handlers that failed. */
export function redriven(message: Message, queue: string, delayMs: number, nowMs: number): ForwardedMessage {
  const { headers: before = {} } = message.properties;
  const dueAt = delayMs > 0 ? nowMs + delayMs : undefined;
  const { handlers } = progressOf(message);
  const place = placeOf(message);
  const headers: Headers = headersFor(message, place, { attempts: 0, handlers, dueAt });
  for (const key of OF_THE_DEATH) delete headers[key];
  // It came straight to its queue, and goes there again.
  if (place.replyFormat === 'nest-rmq') for (const key of OF_THE_PLACE) delete headers[key];
  headers[HEADER.redriven] = countOf(before[HEADER.redriven]) + 1;
  const properties = { ...message.properties, headers };
  return { exchange: '', routingKey: queue, properties, delayMs };
}
