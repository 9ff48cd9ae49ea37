import type { Deserializer } from '@nestjs/microservices';
import type { FieldTable, Message } from '@nestmq/broker';
import { exchangeOf, EVENTS_EXCHANGE, HEADER, REQUESTS_EXCHANGE } from '../envelope.js';
import { UnreadableBodyException } from '../queue.exceptions.js';
import { isSentUnder, type NestPacket, nestPacketIn, routeOf } from './nest-packets.js';
import { deserialized } from './serialized.js';
import type { WireFormat } from './wire-options.js';
import type { Wire } from './wire.js';

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
  // What came straight to the queue under no other name than the queue's goes back in the same way.
  const isRaw = pattern === message.routingKey && isSentToQueue(message);
  if (replyFormat === 'nest-rmq' || isRaw)
    return { [HEADER.routingKey]: message.routingKey, [HEADER.exchange]: '' };
  const isOurs = exchangeOf(message) === '';
  const origin = kind === 'request' ? REQUESTS_EXCHANGE : EVENTS_EXCHANGE;
  return { [HEADER.routingKey]: pattern, [HEADER.exchange]: isOurs ? origin : exchange };
}

/**
 * Reads a message in whatever format it is. Throws UnreadableBodyException, or rejects with it if it is a promise; what
 * {@link readEnvelope} tells is still true then.
 */
export function readIncoming(message: Message, wire: Wire): Incoming | Promise<Incoming> {
  if (wire.deserializer !== undefined) return readByDeserializer(message, wire, wire.deserializer);
  const data = wire.decode(message);
  return data instanceof Promise
    ? data.then((decoded: unknown) => incomingOf(message, decoded))
    : incomingOf(message, data);
}

function incomingOf(message: Message, data: unknown): Incoming {
  const packet = nestPacketOf(message, data);
  if (packet === undefined) {
    const { kind, pattern } = readEnvelope(message);
    return { kind, pattern, data, replyFormat: 'nestmq' };
  }
  return {
    kind: kindOf(packet),
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
  return isSentToQueue(message) ? packet : undefined;
}

/** Through the default exchange, and not put there by us. */
function isSentToQueue(message: Message): boolean {
  return exchangeOf(message) === '' && originIn(message.properties.headers) === undefined;
}

/**
 * A deserializer gets what Nest's own transports would give it: the body of what was sent to a queue itself, else a
 * packet made of the message.
 */
async function readByDeserializer(
  message: Message,
  wire: Wire,
  deserializer: Deserializer,
): Promise<Incoming> {
  const body: unknown = await wire.decode(message);
  const incoming = incomingOf(message, body);
  const { kind, pattern, data, replyFormat } = incoming;
  const isRaw = replyFormat === 'nest-rmq' || isSentToQueue(message);
  const id = kind === 'request' ? { id: message.properties.correlationId } : {};
  const value = isRaw ? body : { pattern, data, ...id };
  const options = { ...message.properties, channel: pattern };
  const packet = assertPacket(await deserialized(deserializer, value, options));
  return {
    kind: isRaw ? kindOf(packet) : kind,
    pattern: routeOf(packet.pattern),
    data: packet.data,
    replyFormat: isRaw ? 'nest-rmq' : 'nestmq',
  };
}

function kindOf({ id }: NestPacket): Envelope['kind'] {
  return id === undefined ? 'event' : 'request';
}

function assertPacket(packet: unknown): NestPacket {
  const { pattern } = (packet ?? {}) as Partial<NestPacket>;
  if (pattern !== undefined && pattern !== null) return packet as NestPacket;
  throw new UnreadableBodyException(
    'The deserializer returned no packet with a pattern.',
    'Let it return { pattern, data }; the pattern of the message is in its second argument, as channel.',
  );
}
