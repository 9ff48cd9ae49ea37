import { channelError } from '../errors.js';
import type { Routable } from '../message/copy-keys.js';
import { textOf } from '../message/field-text.js';
import { type Field, typeOf, valueOf } from '../message/fields.js';
import { headersIn, propertyBytesOf } from '../message/headers.js';
import { shownTerm } from '../message/erlang-term.js';
import type { Router } from './router.js';

type Match = 'all' | 'any' | 'all-with-x' | 'any-with-x';

const X_MATCH = 'x-match';
const MATCHES: ReadonlySet<string> = new Set<Match>(['all', 'any', 'all-with-x', 'any-with-x']);
const NUMBERS: ReadonlySet<string> = new Set([
  'signedint',
  'byte',
  'unsignedbyte',
  'short',
  'unsignedshort',
  'unsignedint',
  'long',
  'timestamp',
  'float',
  'double',
]);

interface HeadersBinding<T> {
  readonly destination: T;
  readonly args: readonly Field[];
  readonly isAny: boolean;
  /** What the headers are compared with. */
  readonly pattern: readonly Field[];
}

/** AMQP 0-9-1 section 3.1.3.4, and RabbitMQ's `-with-x`: headers named `x-…` count only with these. */
export class HeadersRouter<T> implements Router<T> {
  readonly #bindings: HeadersBinding<T>[] = [];

  bind(_key: string, destination: T, args: readonly Field[]): void {
    const match = matchOf(args);
    const withX = match.endsWith('-with-x');
    const counts = ({ name }: Field): boolean => name !== X_MATCH && (withX || !name.startsWith('x-'));
    const isAny = match.startsWith('any');
    this.#bindings.push({ destination, args, isAny, pattern: args.filter(counts) });
  }

  unbind(_key: string, destination: T, args: readonly Field[]): boolean {
    const at = this.#bindings.findIndex((one) => one.destination === destination && one.args === args);
    if (at >= 0) this.#bindings.splice(at, 1);
    return at >= 0;
  }

  route(_routingKey: string, message: Routable): ReadonlySet<T> {
    const headers = new Map<string, Field>();
    for (const field of headersIn(propertyBytesOf(message))) {
      // Of two of the same name the first counts.
      if (!headers.has(field.name)) headers.set(field.name, field);
    }
    const found = new Set<T>();
    for (const { destination, isAny, pattern } of this.#bindings) {
      const matches = ({ name, bytes }: Field): boolean => isMatch({ name, bytes }, headers.get(name));
      if (isAny ? pattern.some(matches) : pattern.every(matches)) found.add(destination);
    }
    return found;
  }
}

/** Throws PRECONDITION_FAILED in RabbitMQ's words. */
export function checkHeadersBinding(args: readonly Field[]): void {
  const field = args.find(({ name }) => name === X_MATCH);
  if (field === undefined) return;
  const [type, value] = [typeOf(field), shownTerm(field.bytes)];
  if (type !== 'longstr') {
    const text = `Invalid x-match field type ${type} (value ${value}); expected longstr`;
    throw channelError('PRECONDITION_FAILED', text);
  }
  if (MATCHES.has(textOf(field) ?? '')) return;
  const text = `Invalid x-match field value ${value}; expected all, any, all-with-x, or any-with-x`;
  throw channelError('PRECONDITION_FAILED', text);
}

function matchOf(args: readonly Field[]): Match {
  const field = args.find(({ name }) => name === X_MATCH);
  return (textOf(field) ?? 'all') as Match;
}

/** A pattern without a value matches any. Else values count, and not which type of number, or of bytes, they have. */
function isMatch(pattern: Field, header: Field | undefined): boolean {
  if (header === undefined) return false;
  const [expected, actual] = [typeOf(pattern), typeOf(header)];
  if (expected === 'void') return true;
  if (NUMBERS.has(expected) && NUMBERS.has(actual)) return isSameNumber(numberOf(pattern), numberOf(header));
  if (isText(expected) && isText(actual)) return pattern.bytes.subarray(1).equals(header.bytes.subarray(1));
  return pattern.bytes.equals(header.bytes);
}

function isText(type: string): boolean {
  return type === 'longstr' || type === 'binary';
}

/** An integer can be a number here and a bigint there. */
function isSameNumber(a: number | bigint, b: number | bigint): boolean {
  return String(a) === String(b);
}

function numberOf(field: Field): number | bigint {
  const value = valueOf(field);
  return value instanceof Date ? value.getTime() / 1000 : (value as number | bigint);
}
