import { randomUUID } from 'node:crypto';
import type { MsPattern, ReadPacket } from '@nestjs/microservices';
import {
  DELIVERY_MODE_PERSISTENT,
  type FieldTable,
  type FieldValue,
  type Message,
  type MessageProperties,
} from '@nestmq/broker';
import { type Encoded, eventMessage, HEADER, requestMessage } from '../envelope.js';
import type { PublishOptions } from '../links/link.js';
import { millisecondsOf } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import { delayMsOf, isDelayed, type QueueRecordOptions, recordIn } from '../queue.record.js';
import { encodeNestPacket } from './nest-packets.js';
import { serializedPacket } from './serialized.js';
import type { Wire } from './wire.js';

export interface Outgoing {
  readonly message: Message;
  readonly options: PublishOptions;
}

export interface OutgoingContext {
  readonly wire: Wire;
  /** Where packets of the format `nest-rmq` go. */
  readonly queue: string;
  readonly nowMs: number;
  readonly routeOf: (pattern: MsPattern) => string;
}

export interface RequestAddress {
  readonly replyTo: string;
  readonly correlationId: string;
}

const NO_OPTIONS: PublishOptions = {};

/**
 * The message that an event goes out as. Throws, or rejects if it is a promise: QueueOptionsException for what a record can't
 * say of an event, and what the codec or the serializer throws.
 */
export function outgoingEvent(packet: ReadPacket, context: OutgoingContext): Outgoing | Promise<Outgoing> {
  const record = recordIn(packet.data);
  if (record?.options.timeout !== undefined) {
    throw new QueueOptionsException(
      "The record has 'timeout'.",
      "It is for 'send': nobody answers an event.",
    );
  }
  if (context.wire.format === 'nest-rmq') return nestEvent(packet, context);
  return encoded(packet, context, ({ pattern, metadata }, body) =>
    withRecord(
      eventMessage(context.routeOf(pattern as MsPattern), body, metadata, context.nowMs),
      record?.options,
      context,
    ),
  );
}

/**
 * As {@link outgoingEvent}, of a request. It is mandatory: one that nobody handles fails at once. The broker gives it up at
 * `expiresAt`, when its caller waits no longer (milliseconds since the epoch), if its record says nothing else. Packets of Nest's
 * own transport are as Nest's client sends them, without.
 */
export function outgoingRequest(
  packet: ReadPacket,
  address: RequestAddress,
  context: OutgoingContext,
  expiresAt?: number,
): Outgoing | Promise<Outgoing> {
  const record = recordIn(packet.data);
  if (record !== undefined && isDelayed(record.options)) {
    throw new QueueOptionsException(
      "The record of a request has 'delay' or 'scheduleAt'.",
      'Emit an event: who sends a request waits for the answer, and is told at once when nobody handles it.',
    );
  }
  if (context.wire.format === 'nest-rmq') return nestRequest(packet, address, context);
  const limit = expiresAt === undefined || record?.options.expiration !== undefined ? {} : { expiresAt };
  return encoded(packet, context, ({ pattern, metadata }, body) =>
    mandatory(
      withRecord(
        requestMessage(context.routeOf(pattern as MsPattern), body, { ...address, metadata }),
        record?.options,
        context,
      ),
      limit,
    ),
  );
}

function mandatory({ message, options }: Outgoing, more: PublishOptions = NO_OPTIONS): Outgoing {
  return { message, options: { ...options, ...more, mandatory: true } };
}

/** Data to a body, by the serializer first if there is one; at once if it can be. */
function encoded(
  packet: ReadPacket,
  { wire }: OutgoingContext,
  messageOf: (packet: ReadPacket, encoded: Encoded) => Outgoing,
): Outgoing | Promise<Outgoing> {
  const plain = withoutRecord(packet);
  if (wire.serializer !== undefined) {
    return serializedPacket(wire.serializer, plain).then(async (one) =>
      messageOf(one, await wire.encode(one.data)),
    );
  }
  const body = wire.encode(plain.data);
  return body instanceof Promise ? body.then((one) => messageOf(plain, one)) : messageOf(plain, body);
}

function withoutRecord(packet: ReadPacket): ReadPacket {
  const record = recordIn(packet.data);
  return record === undefined ? packet : { ...packet, data: record.data };
}

/** A message as its record wants it; what the message has already stays, if the record does not say otherwise. */
function withRecord(
  message: Message,
  options: QueueRecordOptions | undefined,
  { nowMs }: Pick<OutgoingContext, 'nowMs'>,
): Outgoing {
  if (options === undefined) return { message, options: NO_OPTIONS };
  const delayMs = delayMsOf(options, nowMs);
  const headers = {
    ...message.properties.headers,
    ...headersOf(options, delayMs > 0 ? nowMs + delayMs : undefined),
  };
  const properties: MessageProperties = {
    ...message.properties,
    ...propertiesOf(options),
    ...(Object.keys(headers).length === 0 ? {} : { headers }),
  };
  return { message: { ...message, properties }, options: { mandatory: options.mandatory === true, delayMs } };
}

function propertiesOf(options: QueueRecordOptions): MessageProperties {
  const { priority, expiration, messageId, deduplicationId, correlationId, persistent } = options;
  const id = messageId ?? deduplicationId;
  const expirationMs = millisecondsOf(expiration);
  return {
    ...(priority === undefined ? {} : { priority }),
    ...(expirationMs === undefined ? {} : { expiration: String(Math.ceil(expirationMs)) }),
    ...(id === undefined ? {} : { messageId: id }),
    ...(correlationId === undefined ? {} : { correlationId }),
    ...(persistent === undefined ? {} : { deliveryMode: persistent ? DELIVERY_MODE_PERSISTENT : 1 }),
  };
}

function headersOf(options: QueueRecordOptions, dueAt: number | undefined): FieldTable {
  const { headers, deduplicationId, orderingKey } = options;
  const own: Record<string, FieldValue> = {};
  if (deduplicationId !== undefined) own['x-deduplication-header'] = deduplicationId;
  if (orderingKey !== undefined) own[HEADER.orderingKey] = orderingKey;
  if (dueAt !== undefined) own[HEADER.dueAt] = dueAt;
  return { ...headers, ...own };
}

/**
 * A packet straight to the queue of a service on Nest's own transport. It is mandatory: Nest's client would make the queue,
 * this one does not know how.
 */
function nestEvent(packet: ReadPacket, context: OutgoingContext): Outgoing | Promise<Outgoing> {
  const record = recordIn(packet.data);
  if (record !== undefined && isDelayed(record.options)) {
    throw new QueueOptionsException(
      "The record has 'delay' or 'scheduleAt', and the client has wireFormat 'nest-rmq'.",
      "Nest's own transport has no delays: use 'nestmq', or send it later.",
    );
  }
  const properties = {
    deliveryMode: DELIVERY_MODE_PERSISTENT,
    messageId: randomUUID(),
    timestamp: Math.floor(context.nowMs / 1000),
  };
  return nestMessage(packet, {}, properties, context);
}

function nestRequest(
  packet: ReadPacket,
  address: RequestAddress,
  context: OutgoingContext,
): Outgoing | Promise<Outgoing> {
  return nestMessage(packet, { id: address.correlationId }, { ...address }, context);
}

function nestMessage(
  packet: ReadPacket,
  id: { readonly id?: string },
  properties: MessageProperties,
  context: OutgoingContext,
): Outgoing | Promise<Outgoing> {
  const { serializer } = context.wire;
  const options = recordIn(packet.data)?.options;
  const plain = { ...withoutRecord(packet), ...id };
  const outgoing = (body: Buffer): Outgoing =>
    mandatory(withRecord({ exchange: '', routingKey: context.queue, properties, body }, options, context));
  if (serializer === undefined) return outgoing(encodeNestPacket(plain));
  return Promise.resolve(serializer.serialize(plain)).then((one: ReadPacket) =>
    outgoing(encodeNestPacket(one)),
  );
}
