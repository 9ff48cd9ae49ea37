import type { FieldTable, FieldValue, Message } from '@nestmq/broker';
import { describeError } from '../describe-error.js';
import { exchangeOf, HEADER } from '../envelope.js';
import { progressOf } from '../handling/address.js';
import { readEnvelope, readIncoming } from '../wire/incoming.js';
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
    ...(await contentOf(asBeforeDeath(message), wire)),
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

/** What the broker itself has moved elsewhere, as it came to its queue; else the message itself. */
export function asBeforeDeath(message: Message): Message {
  const death = firstDeathOf(message);
  const isMarked = message.properties.headers?.[HEADER.exchange] !== undefined;
  if (death === undefined || isMarked || exchangeOf(message) !== '') return message;
  const { exchange, 'routing-keys': keys } = death;
  const routingKey = Array.isArray(keys) ? textOf(keys[0]) : undefined;
  if (typeof exchange !== 'string' || routingKey === undefined) return message;
  return { ...message, exchange: exchangeOf({ exchange }), routingKey };
}

/** The last of `x-death`: the latest comes first (rabbitmq.com/docs/dlx, "Dead-Lettered Message Headers"). */
function firstDeathOf({ properties: { headers = {} } }: Message): FieldTable | undefined {
  const deaths = headers['x-death'];
  const first: unknown = Array.isArray(deaths) ? deaths.at(-1) : undefined;
  return typeof first === 'object' && first !== null ? (first as FieldTable) : undefined;
}

async function contentOf(
  message: Message,
  wire: Wire,
): Promise<Pick<QueuedMessage, 'pattern' | 'data' | 'unreadable'>> {
  try {
    const { pattern, data } = await readIncoming(message, wire);
    return { pattern, data };
  } catch (error) {
    return { pattern: readEnvelope(message).pattern, data: message.body, unreadable: describeError(error) };
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
