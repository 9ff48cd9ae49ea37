import { isNativeError } from 'node:util/types';
import { RpcException } from '@nestjs/microservices';
import { describeError, nameOfError } from '../describe-error.js';
import { RemoteException } from '../queue.exceptions.js';

/**
 * What a caller sees of an error: objects as they are; of an Error its name, message, `code` and `data`, and what else
 * of its own fields is a string, a number or a boolean. Not its stack, nor what hangs on it.
 */
export function encodeError(error: unknown): unknown {
  if (!isNativeError(error)) return error;
  return { ...fieldsOf(error), name: classOf(error), message: describeError(error) };
}

/** Its name as it was given, else that of its class: few classes of errors name themselves. */
export function classOf(error: Error): string {
  const { constructor } = error as { readonly constructor?: { readonly name?: unknown } };
  const name = nameOfError(error);
  return name === 'Error' && typeof constructor?.name === 'string' ? constructor.name.slice(0, 100) : name;
}

function fieldsOf(error: Error): Readonly<Record<string, unknown>> {
  if (error instanceof RemoteException) return error.details;
  const { data } = error as { readonly data?: unknown };
  const plain = Object.entries(error).filter(
    ([key, value]) => ['string', 'number', 'boolean'].includes(typeof value) && !isMessage(key, value, error),
  );
  return { ...Object.fromEntries(plain), ...(data === undefined ? {} : { data }) };
}

/** RpcException has its message twice. */
function isMessage(key: string, value: unknown, { message }: Error): boolean {
  return key === 'error' && value === message;
}

/**
 * The error to answer with, when a handler threw `thrown` and Nest made `err` of it. Those that are RpcExceptions of
 * an application's own class were meant for the caller, so they keep their class name; all others are as Nest made them.
 */
export function errorToSend(err: unknown, thrown: unknown): unknown {
  return thrown instanceof RpcException && thrown.constructor !== RpcException ? thrown : err;
}

/** An error as its caller gets it: an Error again if it was one, which `name` tells. */
export function decodeError(data: unknown, name: unknown): unknown {
  // Nest's clients take what is false for no error at all.
  if (!data) return new RemoteException('Error', `The handler failed with ${String(data)}.`, {});
  if (typeof name !== 'string' || typeof data !== 'object') return data;
  const { message } = data as { readonly message?: unknown };
  return new RemoteException(name, typeof message === 'string' ? message : '', data);
}
