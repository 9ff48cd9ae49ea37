import type { FieldTable, FieldValue, Message } from '@nestmq/broker';
import { describeError } from '../describe-error.js';
import { EVENTS_EXCHANGE, exchangeOf, HEADER, REQUESTS_EXCHANGE } from '../envelope.js';
import { type Origin, originOf, progressOf } from '../handling/address.js';
import { readIncoming } from '../wire/incoming.js';
import type { Wire } from '../wire/wire.js';

/**
 * A message in a queue, as people and tools want to see it.
 *
 * @publicApi
 */
export interface QueuedMessage {
  readonly pattern: string;
  /** What a handler would get; the body as it is, a Buffer, when it can't be read. */
  readonly data: unknown;
  /** Why it can't be read, if so. */
  readonly unreadable?: string;
  readonly headers: FieldTable;
  /** Empty if the producer set none. */
  readonly messageId: string;
  /** Which attempt its next delivery is, as far as its headers tell; 1 is the first. */
  readonly attempt: number;
  /** As the broker has it. */
  readonly message: Message;
}

/**
 * A message that was given up.
 *
 * @publicApi
 */
export interface DeadLetterMessage extends QueuedMessage {
  /** The queue that it was in. */
  readonly queue: string;
  /**
   * `attempts`, `unrecoverable`, `no-handler` or `unreadable`; or the broker's own: `expired`, `maxlen`, `rejected`,
   * `delivery_limit`. Empty when nobody said.
   */
  readonly reason: string;
  /** How often it was tried; 0 when nobody said. */
  readonly attempts: number;
  readonly error: { readonly name: string; readonly message: string; readonly stack: string } | undefined;
  readonly deadAt: Date | undefined;
  /** How often it had been redriven before. */
  readonly redriven: number;
}

/** Never rejects. */
export async function queuedMessageOf(message: Message, wire: Wire): Promise<QueuedMessage> {
  return {
    ...(await readable(message, wire)),
    headers: message.properties.headers ?? {},
    messageId: message.properties.messageId ?? '',
    attempt: progressOf(message).attempts + 1,
    message,
  };
}

/** `queue`: for what does not say which queue it was in. Never rejects. */
export async function deadLetterOf(message: Message, wire: Wire, queue: string): Promise<DeadLetterMessage> {
  const { headers = {} } = message.properties;
  return {
    ...(await queuedMessageOf(message, wire)),
    queue: queueOf(message) ?? queue,
    reason: textOf(headers[HEADER.reason]) ?? textOf(headers['x-first-death-reason']) ?? '',
    attempts: countOf(headers[HEADER.attempts]),
    error: errorOf(headers),
    deadAt: dateOf(headers[HEADER.deadAt]),
    redriven: countOf(headers[HEADER.redriven]),
  };
}

/** Which queue a dead letter was in; undefined when nobody said. */
export function queueOf({ properties: { headers = {} } }: Message): string | undefined {
  return textOf(headers[HEADER.queue]) ?? textOf(headers['x-first-death-queue']);
}

/** Whom a message is for, also when it was the broker who has moved it elsewhere. */
export function placeOf(message: Message): Origin {
  const origin = originOf(message);
  const death = firstDeathOf(message);
  if (exchangeOf(message) !== '' || origin.replyFormat === 'nestmq' || death === undefined) return origin;
  const exchange = exchangeOf({ exchange: textOf(death['exchange']) ?? '' });
  const keys = death['routing-keys'];
  const pattern = Array.isArray(keys) ? textOf(keys[0]) : undefined;
  if (pattern === undefined || (exchange !== EVENTS_EXCHANGE && exchange !== REQUESTS_EXCHANGE))
    return origin;
  return { kind: exchange === REQUESTS_EXCHANGE ? 'request' : 'event', pattern, replyFormat: 'nestmq' };
}

/** The last of `x-death`: the latest comes first (rabbitmq.com/docs/dlx, "Dead-Lettered Message Headers"). */
function firstDeathOf({ properties: { headers = {} } }: Message): FieldTable | undefined {
  const deaths = headers['x-death'];
  const first: unknown = Array.isArray(deaths) ? deaths.at(-1) : undefined;
  return typeof first === 'object' && first !== null ? (first as FieldTable) : undefined;
}

async function readable(
  message: Message,
  wire: Wire,
): Promise<Pick<QueuedMessage, 'pattern' | 'data' | 'unreadable'>> {
  const place = placeOf(message);
  try {
    // What came straight to a queue has its pattern in its body.
    if (place.replyFormat === 'nestmq') return { pattern: place.pattern, data: await wire.decode(message) };
    const { pattern, data } = await readIncoming(message, wire);
    return { pattern, data };
  } catch (error) {
    return { pattern: place.pattern, data: message.body, unreadable: describeError(error) };
  }
}

function errorOf(headers: FieldTable): DeadLetterMessage['error'] {
  const name = textOf(headers[HEADER.errorName]);
  if (name === undefined) return undefined;
  const message = textOf(headers[HEADER.errorMessage]) ?? '';
  return { name, message, stack: textOf(headers[HEADER.errorStack]) ?? '' };
}

function textOf(value: FieldValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function countOf(value: FieldValue | undefined): number {
  const count = Number(value);
  return typeof value !== 'string' && Number.isSafeInteger(count) && count > 0 ? count : 0;
}

function dateOf(value: FieldValue | undefined): Date | undefined {
  const date = new Date(textOf(value) ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
