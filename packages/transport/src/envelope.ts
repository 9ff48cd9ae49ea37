import { randomUUID } from 'node:crypto';
import { isNativeError } from 'node:util/types';
import { DELIVERY_MODE_PERSISTENT, type FieldTable, type FieldValue, type Message } from '@nestmq/broker';

/**
 * What the transport agrees upon with producers in any language: the routing key is the pattern, the body is the
 * data as JSON, the rest is properties and headers.
 */

/** Where events go: bound by the patterns of event handlers. */
export const EVENTS_EXCHANGE = 'nestmq.events';
/** Where requests go: bound by the patterns of message handlers. Apart from events, so that a `send` finds answerers only. */
export const REQUESTS_EXCHANGE = 'nestmq.requests';
/** A queue's dead letters are in the queue of this name. */
export const deadLetterQueueOf = (queue: string): string => `${queue}.dead`;

/** What a reply is, in the property `type`. */
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

export const HEADER = {
  /** Attempts made before this message was put at the end of its queue for some of its handlers. */
  attemptsBefore: 'x-nestmq-attempts-before',
  /** The handlers that are still to run, when others of the same message have succeeded. */
  handlers: 'x-nestmq-handlers',
  /** On a dead letter: how often it was tried. */
  attempts: 'x-nestmq-attempts',
  /** On a dead letter: why it was given up. */
  reason: 'x-nestmq-reason',
  /** On a dead letter: the error's name, message and stack. */
  errorName: 'x-nestmq-error-name',
  errorMessage: 'x-nestmq-error-message',
  errorStack: 'x-nestmq-error-stack',
  /** On a dead letter: where it was, and how it had come there. */
  queue: 'x-nestmq-queue',
  exchange: 'x-nestmq-exchange',
  routingKey: 'x-nestmq-routing-key',
  /** On a dead letter: when, in ISO 8601. */
  deadAt: 'x-nestmq-dead-at',
} as const;

const JSON_TYPE = 'application/json';

/** Throws TypeError for data that JSON can't hold (a cycle, a BigInt). */
export function encodeBody(data: unknown): Buffer {
  const text = JSON.stringify(data) as string | undefined;
  return text === undefined ? Buffer.alloc(0) : Buffer.from(text);
}

/** An empty body is `undefined`. Throws SyntaxError for anything else that is not JSON. */
export function decodeBody(body: Buffer): unknown {
  return body.length === 0 ? undefined : (JSON.parse(body.toString('utf8')) as unknown);
}

/** `nowMs` since the epoch. */
export function eventMessage(pattern: string, data: unknown, metadata: unknown, nowMs: number): Message {
  return {
    exchange: EVENTS_EXCHANGE,
    routingKey: pattern,
    properties: {
      contentType: JSON_TYPE,
      deliveryMode: DELIVERY_MODE_PERSISTENT,
      messageId: randomUUID(),
      timestamp: Math.floor(nowMs / 1000),
      ...headersOf(metadata),
    },
    body: encodeBody(data),
  };
}

/** Requests are transient: after a crash nobody waits for the answer any more. */
export function requestMessage(
  pattern: string,
  data: unknown,
  { replyTo, correlationId, metadata }: { replyTo: string; correlationId: string; metadata: unknown },
): Message {
  return {
    exchange: REQUESTS_EXCHANGE,
    routingKey: pattern,
    properties: {
      contentType: JSON_TYPE,
      messageId: correlationId,
      correlationId,
      replyTo,
      ...headersOf(metadata),
    },
    body: encodeBody(data),
  };
}

export function replyMessage(
  replyTo: string,
  correlationId: string | undefined,
  type: string,
  data: unknown,
): Message {
  return {
    exchange: '',
    routingKey: replyTo,
    properties: { contentType: JSON_TYPE, type, ...(correlationId === undefined ? {} : { correlationId }) },
    body: encodeBody(data),
  };
}

/** A packet's metadata (set by a dispatch hook) travels as headers. */
function headersOf(metadata: unknown): { headers?: FieldTable } {
  if (typeof metadata !== 'object' || metadata === null) return {};
  return { headers: metadata as Record<string, FieldValue> };
}

/** What a caller sees of an error: objects as they are, an Error's name and message beside its own fields. */
export function encodeError(error: unknown): unknown {
  return isNativeError(error)
    ? Object.assign({}, error, { name: error.name, message: error.message })
    : error;
}
