import { isNativeError } from 'node:util/types';

/** What a caller sees of an error: objects as they are, an Error's name and message beside its own fields. */
export function encodeError(error: unknown): unknown {
  return isNativeError(error)
    ? Object.assign({}, error, { name: error.name, message: error.message })
    : error;
}
