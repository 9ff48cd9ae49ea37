import type { Deserializer } from '@nestjs/microservices';
import type { Message } from '@nestmq/broker';
import { EVENTS_EXCHANGE, exchangeOf, HEADER, REQUESTS_EXCHANGE } from '../envelope.js';
import { UnreadableBodyException } from '../queue.exceptions.js';
import { isSentUnder, type NestPacket, nestPacketIn, routeOf } from './nest-packets.js';
import { deserialized } from './serialized.js';
import type { WireFormat } from './wire-options.js';
import type { Wire } from './wire.js';

/** What a message says without its body. */
export interface Envelope {
  readonly kind: 'event' | 'request';
  readonly pattern: string;
}

/** A message as handlers see it. */
export interface Incoming extends Envelope {
  readonly data: unknown;
  /**
   * How its sender writes, and wants to be answered. When such a message goes back to its queue, its header
   * `x-nestmq-format` must say so ({@link HEADER}), or it is read as `nestmq` there.
   */
  readonly replyFormat: WireFormat;
}

/**
 * Reads a message in whatever format it is. `envelope` is undefined for what came straight to a queue: what is no packet of
 * Nest is undefined then. Throws UnreadableBodyException, or rejects with it if it is a promise.
 */
export function readIncoming(
  message: Message,
  envelope: Envelope | undefined,
  wire: Wire,
): Incoming | undefined | Promise<Incoming | undefined> {
  const { deserializer } = wire;
  const read = (data: unknown): Incoming | undefined | Promise<Incoming> =>
    deserializer === undefined
      ? incomingOf(message, envelope, data)
      : deserializedIncoming(message, envelope, data, deserializer);
  const data = wire.decode(message);
  return data instanceof Promise ? data.then(read) : read(data);
}

function incomingOf(message: Message, envelope: Envelope | undefined, data: unknown): Incoming | undefined {
  const packet = mayBePacket(message, envelope) ? nestPacketIn(data) : undefined;
  if (packet !== undefined && isPacket(message, packet))
    return { ...fromPacket(packet), ...backIn(message, envelope) };
  return envelope === undefined
    ? undefined
    : { kind: envelope.kind, pattern: envelope.pattern, data, replyFormat: 'nestmq' };
}

function fromPacket({ id, pattern, data }: NestPacket): Incoming {
  return {
    kind: id === undefined ? 'event' : 'request',
    pattern: routeOf(pattern),
    data,
    replyFormat: 'nest-rmq',
  };
}

/** What was put back tells its envelope: another version of its handlers may have read its body in another way. */
function backIn(message: Message, envelope: Envelope | undefined): Partial<Envelope> {
  if (envelope === undefined || exchangeOf(message) !== '') return {};
  return { kind: envelope.kind, pattern: envelope.pattern };
}

/**
 * Nest sends packets to the queue itself, or with `wildcards` to an exchange of its own. What came through our exchanges
 * is data, even if it looks like a packet; so is what comes back of it, unless it says that it was none.
 */
function mayBePacket(message: Message, envelope: Envelope | undefined): boolean {
  const exchange = exchangeOf(message);
  if (exchange !== '') return exchange !== EVENTS_EXCHANGE && exchange !== REQUESTS_EXCHANGE;
  return envelope === undefined || message.properties.headers?.[HEADER.format] === 'nest-rmq';
}

/** In another exchange its routing key is its pattern. */
function isPacket(message: Message, { pattern }: NestPacket): boolean {
  return exchangeOf(message) === '' || isSentUnder(message.routingKey, pattern);
}

/**
 * A deserializer gets what Nest's own transports would give it: the body of what may be a packet of Nest, else a packet
 * made of the message.
 */
async function deserializedIncoming(
  message: Message,
  envelope: Envelope | undefined,
  body: unknown,
  deserializer: Deserializer,
): Promise<Incoming> {
  const options = { ...message.properties, channel: envelope?.pattern ?? message.routingKey };
  if (envelope === undefined || isForeign(message, envelope, body)) {
    const packet = assertPacket(await deserialized(deserializer, body, options));
    return { ...fromPacket(packet), ...backIn(message, envelope) };
  }
  const { kind, pattern } = envelope;
  const id = kind === 'request' ? { id: message.properties.correlationId } : {};
  const packet = assertPacket(await deserialized(deserializer, { pattern, data: body, ...id }, options));
  return { kind, pattern: routeOf(packet.pattern), data: packet.data, replyFormat: 'nestmq' };
}

/** What came straight to a queue, or from Nest: its body is not ours. */
function isForeign(message: Message, envelope: Envelope, body: unknown): boolean {
  if (exchangeOf(message) === '') return mayBePacket(message, envelope);
  return incomingOf(message, envelope, body)?.replyFormat === 'nest-rmq';
}

function assertPacket(packet: unknown): NestPacket {
  const { pattern } = (packet ?? {}) as Partial<NestPacket>;
  if (pattern !== undefined && pattern !== null) return packet as NestPacket;
  throw new UnreadableBodyException(
    'The deserializer returned no packet with a pattern.',
    'Let it return { pattern, data }; the pattern of the message is in its second argument, as channel.',
  );
}
