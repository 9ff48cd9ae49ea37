import type { ByteReader } from '../message/table-codec.js';
import { AmqpError } from './amqp-error.js';
import { type Method, METHODS, type MethodSpec } from './protocol.js';

const SPECS = new Map(
  Object.values(METHODS).map((spec) => [keyOf(spec.classId, spec.methodId), spec as MethodSpec<Method>]),
);

function keyOf(classId: number, methodId: number): number {
  return classId * 0x1_0000 + methodId;
}

/** Throws RangeError when arguments are missing or left over, COMMAND_INVALID for an unknown method. */
export function readMethod(from: ByteReader): Method {
  const classId = from.uint16();
  const methodId = from.uint16();
  const spec = SPECS.get(keyOf(classId, methodId));
  if (spec === undefined)
    throw new AmqpError('COMMAND_INVALID', `unknown method ${methodId} of class ${classId}`);
  const method = spec.read(from);
  if (from.at !== from.end) throw new RangeError(`${from.end - from.at} bytes after the last argument`);
  return method;
}

/** As a close names the method that was its cause. */
export function idsOf(method: Method | undefined): { classId: number; methodId: number } {
  if (method === undefined) return { classId: 0, methodId: 0 };
  const { classId, methodId } = METHODS[method.name];
  return { classId, methodId };
}
