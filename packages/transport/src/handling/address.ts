import type { FieldTable, FieldValue, Message } from '@nestmq/broker';
import { EVENTS_EXCHANGE, exchangeOf, HEADER, REQUESTS_EXCHANGE } from '../envelope.js';

/** Whom a message is for. */
export interface Address {
  readonly kind: 'event' | 'request';
  readonly pattern: string;
  /** Failed attempts before this delivery, as its headers tell. */
  readonly attempts: number;
  /** The ids of the handlers that are still to run; undefined: all that match. */
  readonly handlers: readonly unknown[] | undefined;
  /** When it is due, in milliseconds since the epoch. */
  readonly dueAt: number | undefined;
}

/**
 * Undefined for what came straight to a queue and was not put there by this transport: its pattern is in its body, if
 * anywhere. Our own headers count in what comes through the default exchange only: with other exchanges, the pattern is
 * the routing key, whatever a producer writes.
 */
export function addressOf(message: Message): Address | undefined {
  const exchange = exchangeOf(message);
  const { headers } = message.properties;
  if (exchange === '') return addressFrom(headers ?? {});
  const kind = exchange === REQUESTS_EXCHANGE ? 'request' : 'event';
  const dueAt = headers === undefined ? undefined : instant(headers[HEADER.dueAt]);
  return { kind, pattern: message.routingKey, attempts: 0, handlers: undefined, dueAt };
}

function addressFrom(headers: FieldTable): Address | undefined {
  const pattern = headers[HEADER.routingKey];
  if (typeof pattern !== 'string') return undefined;
  const attempts = headers[HEADER.attemptsBefore];
  const handlers = headers[HEADER.handlers];
  return {
    kind: headers[HEADER.exchange] === REQUESTS_EXCHANGE ? 'request' : 'event',
    pattern,
    attempts: Number.isSafeInteger(attempts) && Number(attempts) > 0 ? Number(attempts) : 0,
    handlers: Array.isArray(handlers) ? (handlers as readonly unknown[]) : undefined,
    dueAt: instant(headers[HEADER.dueAt]),
  };
}

function instant(value: FieldValue | undefined): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** What brokers note about a way that is over; on a new one it would be wrong, and RabbitMQ takes it for a cycle. */
const OF_THE_WAY = [
  'x-death',
  'x-first-death-exchange',
  'x-first-death-queue',
  'x-first-death-reason',
  'x-delay',
];

/** The headers of a message that goes back to its own queue, which its address is read from again. */
export function headersFor(
  message: Message,
  { kind, pattern, attempts, handlers, dueAt }: Address,
): Record<string, FieldValue | undefined> {
  const headers: Record<string, FieldValue | undefined> = { ...message.properties.headers };
  for (const key of OF_THE_WAY) delete headers[key];
  headers[HEADER.routingKey] = pattern;
  headers[HEADER.exchange] = kind === 'request' ? REQUESTS_EXCHANGE : EVENTS_EXCHANGE;
  if (attempts > 0) headers[HEADER.attemptsBefore] = attempts;
  if (handlers !== undefined) headers[HEADER.handlers] = handlers as FieldValue;
  if (dueAt === undefined) delete headers[HEADER.dueAt];
  else headers[HEADER.dueAt] = dueAt;
  return headers;
}
