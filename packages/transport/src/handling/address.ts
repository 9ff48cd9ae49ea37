import type { FieldTable, FieldValue, Message, MessageProperties } from '@nestmq/broker';
import { exchangeOf, HEADER } from '../envelope.js';
import { type Incoming, originHeaders, readEnvelope } from '../wire/incoming.js';

/** What the headers of a message say about its way so far. */
export interface Progress {
  /** Failed attempts before this delivery. */
  readonly attempts: number;
  /** The ids of the handlers that are still to run; undefined: all that match. */
  readonly handlers: readonly unknown[] | undefined;
  /** When it is due, in milliseconds since the epoch. */
  readonly dueAt: number | undefined;
}

/** What a message is, without what is in it. */
export type Origin = Omit<Incoming, 'data'>;

/**
 * Attempts and handlers count in what came through the default exchange only, as this transport sends it: with other
 * exchanges, all begin at the beginning, whatever a producer writes.
 */
export function progressOf(message: Message): Progress {
  const { headers } = message.properties;
  if (headers === undefined) return NO_PROGRESS;
  const dueAt = instant(headers[HEADER.dueAt]);
  if (exchangeOf(message) !== '') return dueAt === undefined ? NO_PROGRESS : { ...NO_PROGRESS, dueAt };
  const attempts = headers[HEADER.attemptsBefore];
  const handlers = headers[HEADER.handlers];
  return {
    attempts: Number.isSafeInteger(attempts) && Number(attempts) > 0 ? Number(attempts) : 0,
    handlers: Array.isArray(handlers) ? (handlers as readonly unknown[]) : undefined,
    dueAt,
  };
}

/** It comes for the first time, to all its handlers, and is due. */
export const NO_PROGRESS: Progress = { attempts: 0, handlers: undefined, dueAt: undefined };

function instant(value: FieldValue | undefined): number | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/**
 * What belongs to a way that is over. What brokers note about it would be wrong on a new one, and RabbitMQ takes it for a
 * cycle; by CC and BCC copies would go out again.
 */
export const OF_THE_WAY: readonly string[] = [
  'x-death',
  'x-first-death-exchange',
  'x-first-death-queue',
  'x-first-death-reason',
  'x-delay',
  'CC',
  'BCC',
];

export type Headers = Record<string, FieldValue | undefined>;

/** The properties of a message that is sent on. Whose it was, brokers let only himself say. */
export function propertiesFor({ properties }: Message, headers: Headers): MessageProperties {
  const { userId: _, ...others } = properties;
  return { ...others, headers };
}

/** The headers of a message that goes into a queue through the default exchange, to be read there as it was before. */
export function headersFor(message: Message, origin: Origin, progress: Progress): Headers {
  const { attempts, handlers, dueAt } = progress;
  const headers: Headers = { ...message.properties.headers, ...originHeaders(message, origin) };
  for (const key of OF_THE_WAY) delete headers[key];
  setOrDelete(headers, HEADER.attemptsBefore, attempts > 0 ? attempts : undefined);
  setOrDelete(headers, HEADER.handlers, handlers as FieldValue | undefined);
  setOrDelete(headers, HEADER.dueAt, dueAt);
  return headers;
}

function setOrDelete(headers: Headers, key: string, value: FieldTable[string]): void {
  if (value === undefined) delete headers[key];
  else headers[key] = value;
}

/** What a message is, as far as it can be told without its body. */
export function originOf(message: Message): Origin {
  const isForeign = exchangeOf(message) === '' && hasNoOrigin(message);
  return { ...readEnvelope(message), replyFormat: isForeign ? 'nest-rmq' : 'nestmq' };
}

/** It was sent to the queue itself: its pattern is in its body, if anywhere. */
function hasNoOrigin({ properties }: Message): boolean {
  const exchange = properties.headers?.[HEADER.exchange];
  return exchange === undefined || exchange === '';
}
