import { checkValue } from './encoded-properties.js';
import type { FieldTable, FieldValue } from './message.js';
import { ByteReader, ByteWriter, readValue, writeTable } from './table-codec.js';

/**
 * A field of a table as it is on the wire: its type is not lost, as it is where a table becomes an object of
 * JavaScript, and it goes on byte for byte.
 */
export interface Field {
  readonly name: string;
  /** The type octet, and the value. */
  readonly bytes: Buffer;
}

/** The types of AMQP 0-9-1 field values, by their octet, as RabbitMQ calls them in its errors. */
const TYPE_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    S: 'longstr',
    I: 'signedint',
    D: 'decimal',
    T: 'timestamp',
    F: 'table',
    A: 'array',
    b: 'byte',
    B: 'unsignedbyte',
    s: 'short',
    u: 'unsignedshort',
    i: 'unsignedint',
    l: 'long',
    f: 'float',
    d: 'double',
    t: 'bool',
    x: 'binary',
    V: 'void',
  }),
);
const INTEGERS = new Set([
  'signedint',
  'byte',
  'unsignedbyte',
  'short',
  'unsignedshort',
  'unsignedint',
  'long',
]);

/** A table that was checked: its bytes, with their length before them. */
export function fieldsOf(table: Buffer): Field[] {
  const fields: Field[] = [];
  const end = 4 + table.readUInt32BE(0);
  for (let at = 4; at < end;) {
    const valueAt = at + 1 + (table[at] as number);
    const name = table.toString('utf8', at + 1, valueAt);
    at = checkValue(table, valueAt, end);
    fields.push({ name, bytes: table.subarray(valueAt, at) });
  }
  return fields;
}

/** The elements of an array, as a field's bytes hold it. */
export function elementsOf({ bytes }: Field): Buffer[] {
  const elements: Buffer[] = [];
  for (let at = 5; at < bytes.length;) {
    const end = checkValue(bytes, at, bytes.length);
    elements.push(bytes.subarray(at, end));
    at = end;
  }
  return elements;
}

/** RabbitMQ's name of the field's type: `longstr`, `signedint`, … */
export function typeOf({ bytes }: Pick<Field, 'bytes'>): string {
  return TYPE_NAMES.get(String.fromCharCode(bytes[0] as number)) ?? 'void';
}

export function isInteger(field: Pick<Field, 'bytes'>): boolean {
  return INTEGERS.has(typeOf(field));
}

export function valueOf({ bytes }: Pick<Field, 'bytes'>): FieldValue {
  return readValue(new ByteReader(bytes));
}

/** A table with its length before it. */
export function tableOf(fields: readonly Field[]): Buffer {
  const out = new ByteWriter();
  const lengthAt = out.reserve(4);
  for (const { name, bytes } of fields) {
    out.shortString(name);
    out.bytes(bytes);
  }
  out.putUint32(out.end - lengthAt - 4, lengthAt);
  return out.buffer.subarray(0, out.end);
}

/** The same of a table of this process: each value gets the type that {@link writeTable} gives it. */
export function encodeTable(values: FieldTable): Buffer {
  const out = new ByteWriter();
  writeTable(out, values);
  return out.buffer.subarray(0, out.end);
}

export function textField(name: string, text: string): Field {
  return { name, bytes: withLength('S', Buffer.from(text)) };
}

export function longField(name: string, value: number): Field {
  const bytes = Buffer.alloc(9, 'l');
  bytes.writeBigInt64BE(BigInt(value), 1);
  return { name, bytes };
}

/** `seconds` since 1970. */
export function timestampField(name: string, seconds: number): Field {
  const bytes = Buffer.alloc(9, 'T');
  bytes.writeBigInt64BE(BigInt(seconds), 1);
  return { name, bytes };
}

export function arrayField(name: string, elements: readonly Buffer[]): Field {
  return { name, bytes: withLength('A', Buffer.concat(elements)) };
}

/** A table as the value of a field, or an element of an array. */
export function tableValue(fields: readonly Field[]): Buffer {
  return Buffer.concat([Buffer.from('F'), tableOf(fields)]);
}

function withLength(type: string, value: Buffer): Buffer {
  const start = Buffer.alloc(5, type);
  start.writeUInt32BE(value.length, 1);
  return Buffer.concat([start, value]);
}
