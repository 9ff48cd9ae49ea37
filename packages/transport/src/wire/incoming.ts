import type { WritePacket } from '@nestjs/microservices';
import type { FieldTable, Message } from '@nestmq/broker';
import { exchangeOf, EVENTS_EXCHANGE, HEADER, REPLY, replyMessage, REQUESTS_EXCHANGE } from '../envelope.js';
import { encodeError } from './errors.js';
import {
  encodeNestPacket,
  isSentUnder,
  nestAnswerOf,
  type NestPacket,
  nestPacketIn,
  routeOf,
} from './nest-packets.js';
import type { Encoded, Wire } from './wire.js';

/** `nestmq`: the routing key is the pattern, the body the data. `nest-rmq`: the packets of Nest's own RMQ transport. */
export type WireFormat = 'nestmq' | 'nest-rmq';

/** What a message says without its body: enough to refuse it when the body can't be read. */
export interface Envelope {
  readonly kind: 'event' | 'request';
  readonly pattern: string;
}

/** A message as handlers see it. */
export interface Incoming extends Envelope {
  readonly data: unknown;
  /** How its sender writes, and wants to be answered. */
  readonly replyFormat: WireFormat;
}

/**
 * Of a message that came through the default exchange, where it came from is in the headers that {@link originHeaders}
 * gave it; in what comes through other exchanges such headers mean nothing.
 */
export function readEnvelope(message: Pick<Message, 'exchange' | 'routingKey' | 'properties'>): Envelope {
  const exchange = exchangeOf(message);
  const { routingKey } = message;
  if (exchange !== '') return { kind: kindBy(exchange), pattern: routingKey };
  const origin = originIn(message.properties.headers);
  return { kind: kindBy(origin?.exchange), pattern: origin?.pattern ?? routingKey };
}

function kindBy(exchange: unknown): Envelope['kind'] {
  return exchange === REQUESTS_EXCHANGE ? 'request' : 'event';
}

/** What was sent to a queue itself, as Nest's packets are, has no origin. */
function originIn(
  headers: FieldTable = {},
): { readonly exchange: unknown; readonly pattern: string } | undefined {
  const pattern = headers[HEADER.routingKey];
  const exchange = headers[HEADER.exchange];
  return typeof pattern === 'string' && exchange !== '' ? { exchange, pattern } : undefined;
}

/**
 * Headers that a message needs when it is put into a queue through the default exchange (a retry, a dead letter), so
 * that it is read there as it was the first time.
 */
export function originHeaders(
  message: Message,
  { pattern, kind, replyFormat }: Omit<Incoming, 'data'>,
): FieldTable {
  const { exchange } = message;
  if (replyFormat === 'nest-rmq') return { [HEADER.routingKey]: message.routingKey, [HEADER.exchange]: '' };
  const isOurs = exchangeOf(message) === '';
  const origin = kind === 'request' ? REQUESTS_EXCHANGE : EVENTS_EXCHANGE;
  return { [HEADER.routingKey]: pattern, [HEADER.exchange]: isOurs ? origin : exchange };
}

/**
 * Reads a message in whatever format it is. Throws, or rejects if it is a promise, when the body can't be read; what
 * {@link readEnvelope} tells is still true then.
 */
export function readIncoming(message: Message, wire: Wire): Incoming | Promise<Incoming> {
  const data = wire.decode(message);
  return data instanceof Promise
    ? data.then((decoded: unknown) => incomingOf(message, decoded))
    : incomingOf(message, data);
}

function incomingOf(message: Message, data: unknown): Incoming {
  const packet = nestPacketOf(message, data);
  if (packet === undefined) return { ...readEnvelope(message), data, replyFormat: 'nestmq' };
  return {
    kind: packet.id === undefined ? 'event' : 'request',
    pattern: routeOf(packet.pattern),
    data: packet.data,
    replyFormat: 'nest-rmq',
  };
}

/**
 * Nest sends packets to the queue itself, or with `wildcards` to an exchange of its own, under their pattern. Data that
 * looks like a packet is data when it came through our exchanges.
 */
function nestPacketOf(message: Message, data: unknown): NestPacket | undefined {
  const exchange = exchangeOf(message);
  if (exchange === EVENTS_EXCHANGE || exchange === REQUESTS_EXCHANGE) return undefined;
  const packet = nestPacketIn(data);
  if (packet === undefined) return undefined;
  if (exchange !== '') return isSentUnder(message.routingKey, packet.pattern) ? packet : undefined;
  return originIn(message.properties.headers) === undefined ? packet : undefined;
}

/**
 * The messages that bring an answer to who sent the request; none when it named no `replyTo`. Throws, or rejects if it
 * is a promise, for what can't be encoded.
 */
export function replyMessages(
  request: Pick<Message, 'properties'>,
  format: WireFormat,
  reply: WritePacket,
  wire: Wire,
): readonly Message[] | Promise<readonly Message[]> {
  const { replyTo, correlationId } = request.properties;
  if (replyTo === undefined) return [];
  if (format === 'nest-rmq') {
    const encoded = { body: encodeNestPacket(nestAnswerOf(reply)), properties: {} };
    return [replyMessage(replyTo, correlationId, undefined, encoded)];
  }
  const [type, data] = typeAndData(reply);
  const messagesOf = (encoded: Encoded): readonly Message[] => [
    replyMessage(replyTo, correlationId, type, encoded),
  ];
  const encoded = wire.encode(data);
  return encoded instanceof Promise ? encoded.then(messagesOf) : messagesOf(encoded);
}

function typeAndData({ err, response, isDisposed }: WritePacket): [string, unknown] {
  if (err !== undefined) return [REPLY.error, encodeError(err)];
  if (isDisposed !== true) return [REPLY.value, response];
  return response === undefined ? [REPLY.end, undefined] : [REPLY.last, response];
}
