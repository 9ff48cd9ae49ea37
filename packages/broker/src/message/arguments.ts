import { encodeTable, type Field, fieldsOf, tableOf } from './fields.js';
import type { FieldTable } from './message.js';

/** The arguments of an exchange or a binding, with their types. */
export interface Arguments {
  /** By name. */
  readonly fields: readonly Field[];
  /** The same for the same fields in any order; empty for none. The field table in base64. */
  readonly id: string;
}

export const NO_ARGUMENTS: Arguments = { fields: [], id: '' };

/** Of a table of this process, or one as it is on the wire, its length first. */
export function argumentsOf(table: FieldTable | Buffer | undefined): Arguments {
  if (table === undefined) return NO_ARGUMENTS;
  const fields = fieldsOf(Buffer.isBuffer(table) ? table : encodeTable(table));
  if (fields.length === 0) return NO_ARGUMENTS;
  const sorted = fields.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
  return argumentsFrom(tableOf(sorted).toString('base64'));
}

/** Of an id that {@link argumentsOf} gave. */
export function argumentsFrom(id: string): Arguments {
  return id === '' ? NO_ARGUMENTS : { fields: fieldsOf(Buffer.from(id, 'base64')), id };
}
