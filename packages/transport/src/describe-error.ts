import { isNativeError } from 'node:util/types';
import { inspect } from 'node:util';

/** Errors may hold anything; logs and headers are for people. Characters. */
const CHARACTERS_MAX = 2000;

/**
 * What was thrown, in words: handlers may throw anything, also what can't be printed as JSON or by String. Never throws;
 * at most 2,000 characters.
 */
export function describeError(error: unknown): string {
  if (isNativeError(error)) return field(error, 'message');
  return (typeof error === 'string' ? error : inspect(error, { depth: 3 })).slice(0, CHARACTERS_MAX);
}

export function nameOfError(error: unknown): string {
  return isNativeError(error) ? field(error, 'name').slice(0, 100) : 'Error';
}

/** Empty for what is no Error. */
export function stackOfError(error: unknown): string {
  return isNativeError(error) ? field(error, 'stack') : '';
}

/** An Error's own fields may have been given any value. */
function field(error: Error, name: 'message' | 'name' | 'stack'): string {
  const value: unknown = error[name];
  return (typeof value === 'string' ? value : inspect(value, { depth: 1 })).slice(0, CHARACTERS_MAX);
}
