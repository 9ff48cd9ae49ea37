import { isNativeError } from 'node:util/types';
import type { Deserializer, WritePacket } from '@nestjs/microservices';
import type { FieldTable, Message } from '@nestmq/broker';
import { HEADER, REPLY, replyMessage } from '../envelope.js';
import { classOf, decodeError, encodeError } from './errors.js';
import { encodeNestPacket, nestAnswerOf, readNestAnswer } from './nest-packets.js';
import { deserialized, serializedAnswer } from './serialized.js';
import type { WireFormat } from './wire-options.js';
import type { Wire } from './wire.js';

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
  const { serializer } = wire;
  const answer = (packet: WritePacket): Promise<Message> | Message =>
    format === 'nest-rmq'
      ? nestReply(replyTo, correlationId, packet)
      : replyWith(replyTo, correlationId, packet, wire);
  const message =
    serializer === undefined
      ? answer(reply)
      : serializedAnswer(serializer, reply).then(async (one) => answer(one));
  return message instanceof Promise ? message.then((one) => [one]) : [message];
}

function nestReply(replyTo: string, correlationId: string | undefined, packet: WritePacket): Message {
  const body = encodeNestPacket(nestAnswerOf(packet));
  return replyMessage(replyTo, correlationId, undefined, { body, properties: {} });
}

function replyWith(
  replyTo: string,
  correlationId: string | undefined,
  packet: WritePacket,
  wire: Wire,
): Message | Promise<Message> {
  const [type, data, headers] = partsOf(packet);
  const encoded = wire.encode(data);
  return encoded instanceof Promise
    ? encoded.then((one) => replyMessage(replyTo, correlationId, type, one, headers))
    : replyMessage(replyTo, correlationId, type, encoded, headers);
}

function partsOf({ err, response, isDisposed }: WritePacket): [string, unknown, FieldTable?] {
  if (isNativeError(err)) return [REPLY.error, encodeError(err), { [HEADER.errorName]: classOf(err) }];
  if (err !== undefined) return [REPLY.error, err];
  if (isDisposed !== true) return [REPLY.value, response];
  return response === undefined ? [REPLY.end, undefined] : [REPLY.last, response];
}

/**
 * An answer as Nest's clients have it. Throws UnreadableBodyException, or rejects with it if it is a promise. A plain
 * message, as a client in another language would send it, is the last value.
 */
export function readReply(
  message: Message,
  format: WireFormat,
  wire: Wire,
): WritePacket | Promise<WritePacket> {
  const data = wire.decode(message);
  const read = (decoded: unknown): WritePacket | Promise<WritePacket> =>
    wire.deserializer === undefined
      ? answerIn(decoded, format, message)
      : deserializedAnswer(decoded, format, message, wire.deserializer);
  return data instanceof Promise ? data.then(read) : read(data);
}

function answerIn(data: unknown, format: WireFormat, { properties }: Message): WritePacket {
  if (format === 'nest-rmq') return readNestAnswer(data);
  switch (properties.type) {
    case REPLY.value:
      return { response: data };
    case REPLY.end:
      return { isDisposed: true };
    case REPLY.error:
      return { err: decodeError(data, properties.headers?.[HEADER.errorName]), isDisposed: true };
    default:
      return { response: data, isDisposed: true };
  }
}

/** As above, a deserializer gets what Nest's own client would give it. */
async function deserializedAnswer(
  data: unknown,
  format: WireFormat,
  message: Message,
  deserializer: Deserializer,
): Promise<WritePacket> {
  const id = message.properties.correlationId;
  const value = format === 'nest-rmq' ? data : { id, ...answerIn(data, format, message) };
  return readNestAnswer(await deserialized(deserializer, value, { ...message.properties }));
}
