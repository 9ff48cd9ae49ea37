import type { Deserializer, ReadPacket, Serializer, WritePacket } from '@nestjs/microservices';
import { describeError } from '../describe-error.js';
import { QueueOptionsException, UnreadableBodyException } from '../queue.exceptions.js';

type ClientPacket = ReadPacket & { readonly id?: string };

/** What a serializer makes of a request or an event. Rejects with QueueOptionsException when it is no packet any more. */
export async function serializedPacket(serializer: Serializer, packet: ClientPacket): Promise<ReadPacket> {
  const result: unknown = await serializer.serialize(packet);
  if (isObject(result) && 'pattern' in result && 'data' in result) return result as ReadPacket;
  throw notAPacket('{ pattern, data }');
}

/** What a serializer makes of an answer. Rejects with QueueOptionsException when it is no packet any more. */
export async function serializedAnswer(serializer: Serializer, packet: WritePacket): Promise<WritePacket> {
  const result: unknown = await serializer.serialize(packet);
  if (isObject(result) && ('response' in result || 'err' in result || 'isDisposed' in result))
    return result as WritePacket;
  throw notAPacket('{ response }, { err } or { isDisposed }');
}

/** What a deserializer makes of it. Rejects with UnreadableBodyException when it fails. */
export async function deserialized(
  deserializer: Deserializer,
  value: unknown,
  options: Record<string, unknown>,
): Promise<unknown> {
  try {
    return (await deserializer.deserialize(value, options)) as unknown;
  } catch (cause) {
    const reason = describeError(cause);
    throw new UnreadableBodyException(`The deserializer failed: ${reason}.`, 'Correct it or its producer.', {
      cause,
    });
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function notAPacket(shape: string): Error {
  return new QueueOptionsException(
    "The 'serializer' returned no packet.",
    `Let it return ${shape}, as it got it: what is in data goes over the wire as it is, without a packet.`,
  );
}
