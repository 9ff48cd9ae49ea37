import { channelError } from '../errors.js';
import { shownTerm } from './erlang-term.js';
import { textOf } from './field-text.js';
import { type Field, isInteger, typeOf, valueOf } from './fields.js';

/**
 * Throws PRECONDITION_FAILED, in RabbitMQ's words, when an argument of a redeclaration is not the one that is there;
 * `at` names what is declared. Equal numbers of different integer types are equal.
 */
export function assertEquivalentArgument(
  name: string,
  received: Field | undefined,
  current: Field | undefined,
  at: string,
): void {
  if (isSame(received, current)) return;
  const [is, was] =
    received === undefined || current === undefined
      ? [inFull(received), inFull(current)]
      : [`'${shown(received)}'`, `'${shown(current)}'`];
  const text = `inequivalent arg '${name}' for ${at}: received ${is} but current is ${was}`;
  throw channelError('PRECONDITION_FAILED', text);
}

function isSame(a: Field | undefined, b: Field | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (isInteger(a) && isInteger(b)) return Number(valueOf(a)) === Number(valueOf(b));
  return a.bytes.equals(b.bytes);
}

function inFull(field: Field | undefined): string {
  return field === undefined ? 'none' : `the value '${shown(field)}' of type '${typeOf(field)}'`;
}

function shown(field: Field): string {
  return textOf(field) ?? shownTerm(field.bytes);
}
