import { LIMITS } from '../limits.js';
import type { ByteReader } from '../message/table-codec.js';
import { AmqpError, octetsOf } from './amqp-error.js';
import { FRAME, type Method, METHODS, type MethodSpec } from './protocol.js';
import { MalformedName } from './wire.js';

/** Of class and method. */
const ID_BYTES = 4;

const SPECS = new Map(
  Object.values(METHODS).map((spec) => [keyOf(spec.classId, spec.methodId), spec as MethodSpec<Method>]),
);

function keyOf(classId: number, methodId: number): number {
  return classId * 0x1_0000 + methodId;
}

/** Throws FRAME_ERROR when arguments are missing, left over or malformed, COMMAND_INVALID for an unknown method. */
export function readMethod(from: ByteReader): Method {
  const { buffer, at: start, end } = from;
  if (end - start < ID_BYTES) {
    const octets = octetsOf(FRAME.METHOD, buffer.subarray(start, end));
    throw new AmqpError('FRAME_ERROR', `${octets}: unknown_frame`);
  }
  const classId = from.uint16();
  const methodId = from.uint16();
  const spec = SPECS.get(keyOf(classId, methodId));
  if (spec === undefined)
    throw new AmqpError('COMMAND_INVALID', `unknown method ${methodId} of class ${classId}`);
  try {
    const method = spec.read(from);
    if (from.at !== end) throw new RangeError(`${end - from.at} bytes after the last argument`);
    return method;
  } catch (error) {
    if (error instanceof MalformedName) throw new AmqpError('FRAME_ERROR', error.message);
    if (!(error instanceof RangeError)) throw error;
    const octets = buffer.subarray(start + ID_BYTES, end).subarray(0, LIMITS.shortStringBytesMax);
    throw new AmqpError('FRAME_ERROR', `cannot decode <<${octets.join(',')}>>`);
  }
}

/** As a close names the method that was its cause. */
export function idsOf(method: Method | undefined): { classId: number; methodId: number } {
  if (method === undefined) return { classId: 0, methodId: 0 };
  const { classId, methodId } = METHODS[method.name];
  return { classId, methodId };
}
