import { EncodedMessage } from './encoded-message.js';
import { type Field, longField, typeOf, valueOf } from './fields.js';
import { headersIn, propertyBytesOf, withField, withHeaders } from './headers.js';
import type { Message } from './message.js';
import type { Routable } from './copy-keys.js';

const DELAY = 'x-delay';
/** Bytes of the signed integers, by their type: those that a value can be negated in. */
const SIGNED_BYTES: ReadonlyMap<string, number> = new Map([
  ['byte', 1],
  ['short', 2],
  ['signedint', 4],
  ['long', 8],
]);

/** For how long an `x-delayed-message` exchange holds the message: milliseconds, 0 is not at all. */
export function delayOf({ properties }: Pick<Routable, 'properties'>): number {
  const delay = properties.headers?.[DELAY];
  if (typeof delay !== 'number' && typeof delay !== 'bigint') return 0;
  return Math.max(0, Math.trunc(Number(delay)));
}

/** The message as it goes on: its delay is negative now, so that whoever gets it sees that there was one, and none holds it again. */
export function afterDelay(message: Message): Message {
  const bytes = propertyBytesOf(message);
  const headers = headersIn(bytes);
  const field = headers.find(({ name }) => name === DELAY);
  if (field === undefined) return message;
  const { exchange, routingKey, body } = message;
  return new EncodedMessage(
    exchange,
    routingKey,
    withHeaders(bytes, withField(headers, negated(field))),
    body,
  );
}

function negated(field: Field): Field {
  const value = Math.trunc(Number(valueOf(field)));
  const size = SIGNED_BYTES.get(typeOf(field));
  if (size === undefined) return longField(DELAY, -value);
  const bytes = Buffer.from(field.bytes);
  if (size === 8) bytes.writeBigInt64BE(BigInt(-value), 1);
  else bytes.writeIntBE(-value, 1, size);
  return { name: DELAY, bytes };
}
