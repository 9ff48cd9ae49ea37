import { randomUUID } from 'node:crypto';
import {
  DELIVERY_MODE_PERSISTENT,
  type FieldTable,
  type Message,
  type MessageProperties,
} from '@nestmq/broker';

/**
 * What the transport agrees upon with producers in any language: the routing key is the pattern, the body is the
 * data as JSON, the rest is properties and headers.
 */

/**
 * Where events go: bound by the patterns of event handlers.
 *
 * @publicApi
 */
export const EVENTS_EXCHANGE = 'nestmq.events';
/**
 * Where requests go: bound by the patterns of message handlers. Apart from events, so that a `send` finds answerers only.
 *
 * @publicApi
 */
export const REQUESTS_EXCHANGE = 'nestmq.requests';
/** What is delayed waits in another exchange, and comes to its queue by that; '' is the default exchange. */
export const delayedExchangeOf = (exchange: string): string =>
  exchange === '' ? 'nestmq.delayed' : `${exchange}.delayed`;
/** Where brokers put what they themselves give up: it goes on to the queue that the routing key names. */
export const GIVEN_UP_EXCHANGE = 'nestmq.given-up';
const ORIGINS: ReadonlyMap<string, string> = new Map([
  ...['', EVENTS_EXCHANGE, REQUESTS_EXCHANGE].map(
    (exchange) => [delayedExchangeOf(exchange), exchange] as const,
  ),
  [GIVEN_UP_EXCHANGE, ''],
]);
/** The exchange that a message was sent to, whether or not it was delayed on its way; '' of what went straight to a queue. */
export const exchangeOf = ({ exchange }: Pick<Message, 'exchange'>): string =>
  ORIGINS.get(exchange) ?? exchange;
/**
 * A queue's dead letters are in the queue of this name.
 *
 * @publicApi
 */
export const deadLetterQueueOf = (queue: string): string => `${queue}.dead`;

/**
 * What a reply is, in the property `type`.
 *
 * @publicApi
 */
export const REPLY = {
  /** One of several values. */
  value: 'value',
  /** The last value; nothing follows. */
  last: 'last',
  /** Nothing follows. */
  end: 'end',
  /** The body is the error; nothing follows. */
  error: 'error',
} as const;

/**
 * Why a message was given up, in the header {@link HEADER.reason} of the dead letter.
 *
 * @publicApi
 */
export type DeadLetterReason =
  /** All attempts were used up, or the error is of a class that is not tried again. */
  | 'attempts'
  /** The handler said that trying again is no use. */
  | 'unrecoverable'
  /** Nobody here handles it. */
  | 'no-handler'
  /** The body can't be read. */
  | 'unreadable'
  /** The process ended too often while it was in hand (on `file:`). */
  | 'delivery-limit';

/**
 * The headers by which the transport tells what became of a message. Producers set none of them but the ordering key.
 *
 * @publicApi
 */
export const HEADER = {
  /** When a delayed message is due, in milliseconds since the epoch: who gets it earlier lets it wait for the rest. */
  dueAt: 'x-nestmq-due-at',
  /** Attempts made before this message was put at the end of its queue for some of its handlers. */
  attemptsBefore: 'x-nestmq-attempts-before',
  /** The handlers that are still to run, when others of the same message have succeeded. */
  handlers: 'x-nestmq-handlers',
  /** Messages of the same key are handled in their order, by handlers with `orderingKey: true`. */
  orderingKey: 'x-nestmq-ordering-key',
  /** On a dead letter: how often it was tried. */
  attempts: 'x-nestmq-attempts',
  /** On a dead letter: why it was given up. */
  reason: 'x-nestmq-reason',
  /** On a dead letter: the error's name, message and stack. On a reply: that the error was an Error. */
  errorName: 'x-nestmq-error-name',
  errorMessage: 'x-nestmq-error-message',
  errorStack: 'x-nestmq-error-stack',
  /** On a dead letter: where it was, and how it had come there. */
  queue: 'x-nestmq-queue',
  exchange: 'x-nestmq-exchange',
  routingKey: 'x-nestmq-routing-key',
  /** On a dead letter: when, in ISO 8601. */
  deadAt: 'x-nestmq-dead-at',
  /** On what no longer fitted the wire: the names of the headers that it had to leave behind. */
  dropped: 'x-nestmq-dropped-headers',
  /** How often it has come back from the dead letters. */
  redriven: 'x-nestmq-redriven',
  /** By which redrive it has come back last. */
  redrive: 'x-nestmq-redrive',
} as const;

/** Data as it goes over the wire. */
export interface Encoded {
  readonly body: Buffer;
  /** What tells the other side how to read it. */
  readonly properties: Pick<MessageProperties, 'contentType' | 'contentEncoding'>;
}

/** `nowMs` since the epoch. */
export function eventMessage(pattern: string, encoded: Encoded, metadata: unknown, nowMs: number): Message {
  const { contentType, contentEncoding } = encoded.properties;
  // Without spreading: it is half of what making a message costs.
  const properties: Writable<MessageProperties> = {
    deliveryMode: DELIVERY_MODE_PERSISTENT,
    messageId: randomUUID(),
    timestamp: Math.floor(nowMs / 1000),
  };
  if (contentType !== undefined) properties.contentType = contentType;
  if (contentEncoding !== undefined) properties.contentEncoding = contentEncoding;
  if (isTable(metadata)) properties.headers = metadata;
  return { exchange: EVENTS_EXCHANGE, routingKey: pattern, properties, body: encoded.body };
}

/** Requests are transient: after a crash nobody waits for the answer any more. */
export function requestMessage(
  pattern: string,
  encoded: Encoded,
  { replyTo, correlationId, metadata }: { replyTo: string; correlationId: string; metadata: unknown },
): Message {
  return {
    exchange: REQUESTS_EXCHANGE,
    routingKey: pattern,
    properties: {
      ...encoded.properties,
      messageId: correlationId,
      correlationId,
      replyTo,
      ...(isTable(metadata) ? { headers: metadata } : {}),
    },
    body: encoded.body,
  };
}

export function replyMessage(
  replyTo: string,
  correlationId: string | undefined,
  type: string | undefined,
  encoded: Encoded,
  headers?: FieldTable,
): Message {
  return {
    exchange: '',
    routingKey: replyTo,
    properties: {
      ...encoded.properties,
      ...(type === undefined ? {} : { type }),
      ...(correlationId === undefined ? {} : { correlationId }),
      ...(headers === undefined ? {} : { headers }),
    },
    body: encoded.body,
  };
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** A packet's metadata (set by a dispatch hook) travels as headers. */
function isTable(metadata: unknown): metadata is FieldTable {
  return typeof metadata === 'object' && metadata !== null;
}
