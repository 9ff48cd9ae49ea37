import { channelError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from './message.js';

/** Of the presence flags, in the first octet of a message's properties; see properties-codec.ts. */
const EXPIRATION_IN_FIRST_OCTET = 1;

/** Whether the message has an expiration of its own; costs no decoding. */
export function hasExpiration(message: Message): boolean {
  const { propertiesBytes } = message;
  if (propertiesBytes === undefined) return message.properties.expiration !== undefined;
  return ((propertiesBytes[0] as number) & EXPIRATION_IN_FIRST_OCTET) !== 0;
}

/**
 * The `expiration` property in milliseconds. Throws PRECONDITION_FAILED in RabbitMQ's words: it takes what Erlang's
 * `string:to_integer` takes, from 0 to ten years.
 */
export function expirationMs(expiration: string): number {
  const number = /^[+-]?\d+/.exec(expiration)?.[0];
  if (number === undefined) throw invalid(expiration, 'no_integer');
  const rest = expiration.slice(number.length);
  if (rest !== '') throw invalid(expiration, `{leftover_string,${JSON.stringify(rest)}}`);
  const value = BigInt(number.replace('+', ''));
  if (value < 0n) throw invalid(expiration, `{value_negative,${value}}`);
  if (value > LIMITS.expirationMsMax) throw invalid(expiration, `{value_too_large,${value}}`);
  return Number(value);
}

function invalid(expiration: string, why: string): Error {
  return channelError('PRECONDITION_FAILED', `invalid expiration '${expiration}': ${why}`);
}
