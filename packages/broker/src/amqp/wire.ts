import { checkTable } from '../message/encoded-properties.js';
import { textOf } from '../message/field-text.js';
import { fieldsOf } from '../message/fields.js';
import type { FieldTable } from '../message/message.js';
import { ByteReader, ByteWriter, readTable, writeTable } from '../message/table-codec.js';

/**
 * A field table as it is on the wire: its bytes, with the length before them. They were checked, so that they can be
 * decoded; and they go on as they came, types and order included.
 */
export class WireTable {
  constructor(readonly bytes: Buffer) {}

  static of(values: FieldTable): WireTable {
    const out = new ByteWriter();
    writeTable(out, values);
    return new WireTable(out.buffer.subarray(0, out.end));
  }

  get values(): FieldTable {
    return readTable(new ByteReader(this.bytes));
  }

  /** Of several fields of this name the first, as everywhere where one has an effect; undefined when that is no string. */
  text(name: string): string | undefined {
    return textOf(fieldsOf(this.bytes).find((field) => field.name === name));
  }
}

export function readWireTable(from: ByteReader): WireTable {
  const start = from.at;
  const end = checkTable(from.buffer, start, from.end);
  from.skip(end - start);
  return new WireTable(from.buffer.subarray(start, end));
}

export function writeWireTable(out: ByteWriter, table: WireTable): void {
  out.bytes(table.bytes);
}

export class MalformedName extends RangeError {}

/** Throws MalformedName for bytes that are no UTF-8: two names that differ must not become one. */
export function readName(from: ByteReader): string {
  const start = from.at;
  const text = from.shortString();
  if (text.includes('\ufffd')) {
    const bytes = from.buffer.subarray(start + 1, from.at);
    if (!Buffer.from(text).equals(bytes)) throw new MalformedName('Malformed UTF-8 in shortstr');
  }
  return text;
}

export function readLongBytes(from: ByteReader): Buffer {
  return from.bytes(from.uint32());
}

export function writeLongBytes(out: ByteWriter, bytes: Buffer): void {
  out.uint32(bytes.length);
  out.bytes(bytes);
}

/** A bigint only where a number would not be exact. */
export function readLongLong(from: ByteReader): number | bigint {
  const high = from.uint32();
  const low = from.uint32();
  return high < 2 ** 21 ? high * 2 ** 32 + low : (BigInt(high) << 32n) | BigInt(low);
}

export function writeLongLong(out: ByteWriter, value: number | bigint): void {
  if (typeof value === 'number') return out.uint64(value);
  out.uint32(Number(value >> 32n));
  return out.uint32(Number(value & 0xffff_ffffn));
}
