import { type Field, typeOf } from './fields.js';

/** The text of a string; undefined for a field of another type, or none. */
export function textOf(field: Pick<Field, 'bytes'> | undefined): string | undefined {
  if (field === undefined || typeOf(field) !== 'longstr') return undefined;
  return field.bytes.toString('utf8', 5);
}
