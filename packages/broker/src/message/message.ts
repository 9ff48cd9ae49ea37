import { deliveryModeIn } from './encoded-properties.js';

/**
 * A value in a header table: what AMQP 0-9-1 field tables can carry (section 4.2.5.5), in JavaScript's terms.
 * A `Date` is a timestamp (whole seconds on the wire), a `Uint8Array` a byte array, a `bigint` a 64-bit integer.
 */
export type FieldValue =
  string | number | bigint | boolean | null | Date | Uint8Array | readonly FieldValue[] | FieldTable;

/** AMQP's table of headers or arguments, by name. */
export interface FieldTable {
  readonly [name: string]: FieldValue | undefined;
}

/** The basic class's content properties (AMQP 0-9-1, section 1.8.1 of the reference), camel-cased. */
export interface MessageProperties {
  readonly contentType?: string;
  readonly contentEncoding?: string;
  readonly headers?: FieldTable;
  /** 2 is persistent: the message survives a crash if its queue is durable. Anything else is transient. */
  readonly deliveryMode?: number;
  readonly priority?: number;
  readonly correlationId?: string;
  readonly replyTo?: string;
  /** Milliseconds, as a decimal string. */
  readonly expiration?: string;
  readonly messageId?: string;
  /** Whole seconds since the epoch. */
  readonly timestamp?: number;
  readonly type?: string;
  readonly userId?: string;
  readonly appId?: string;
}

/** What a publisher handed over. Immutable from then on: queues share one object, and so do its deliveries. */
export interface Message {
  readonly exchange: string;
  readonly routingKey: string;
  readonly properties: MessageProperties;
  /**
   * The properties as a client sent them, to be handed on byte for byte; `properties` says the same, less exactly.
   * Not there where a message was made in this process. Never an own field: a copy with other properties has none.
   */
  readonly propertiesBytes?: Buffer | undefined;
  readonly body: Buffer;
}

/** What it takes of memory: body, and properties as far as they came as bytes. */
export function contentBytesOf({ body, propertiesBytes }: Pick<Message, 'body' | 'propertiesBytes'>): number {
  return body.length + (propertiesBytes?.length ?? 0);
}

/** `deliveryMode` of a message that survives a restart in a durable queue. */
export const DELIVERY_MODE_PERSISTENT = 2;

/** Whether a durable queue keeps it on the disk. */
export function isPersistent(message: Message): boolean {
  const { propertiesBytes } = message;
  const mode =
    propertiesBytes === undefined ? message.properties.deliveryMode : deliveryModeIn(propertiesBytes);
  return mode === DELIVERY_MODE_PERSISTENT;
}
