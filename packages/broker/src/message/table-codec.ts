import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { FieldTable, FieldValue } from './message.js';

/**
 * AMQP field tables in RabbitMQ's dialect of section 4.2.5.5 (rabbitmq.com/amqp-0-9-1-errata, "Field types"):
 * a type octet, then the value. Integers are big-endian.
 */

const T = {
  boolean: 0x74, // t
  int8: 0x62, // b
  uint8: 0x42, // B
  int16: 0x73, // s
  uint16: 0x75, // u
  int32: 0x49, // I
  uint32: 0x69, // i
  int64: 0x6c, // l
  float: 0x66, // f
  double: 0x64, // d
  decimal: 0x44, // D
  longString: 0x53, // S
  bytes: 0x78, // x
  array: 0x41, // A
  timestamp: 0x54, // T
  table: 0x46, // F
  void: 0x56, // V
} as const;

/** Up to this length, strings are encoded here. */
const PLAIN_LENGTH_MAX = 40;

/** Where encoding goes: a buffer that grows by doubling. `end` is the count of bytes written. */
export class ByteWriter {
  buffer: Buffer;
  end = 0;

  constructor(capacityBytes = 256) {
    this.buffer = Buffer.allocUnsafe(capacityBytes);
  }

  /** Makes room for `bytes` more and returns where they go. */
  reserve(bytes: number): number {
    const start = this.end;
    const needed = start + bytes;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, start);
      this.buffer = grown;
    }
    this.end = needed;
    return start;
  }

  uint8(value: number): void {
    if (!(value >= 0 && value <= 255) || !Number.isInteger(value)) {
      throw new BrokerError('INVALID_MESSAGE', `A property of one octet is ${value}.`, {
        cure: 'Delivery mode and priority are whole numbers from 0 to 255.',
      });
    }
    const at = this.reserve(1);
    this.buffer[at] = value;
  }

  // The octets are set one by one: this is on the way of each message, and Buffer's methods check what is known here.

  uint16(value: number): void {
    const at = this.reserve(2);
    const { buffer } = this;
    buffer[at] = value >>> 8;
    buffer[at + 1] = value;
  }

  uint32(value: number): void {
    this.putUint32(value, this.reserve(4));
  }

  uint64(value: number): void {
    const at = this.reserve(8);
    this.putUint32(Math.floor(value / 2 ** 32), at);
    this.putUint32(value % 2 ** 32, at + 4);
  }

  /** Into room that was reserved before. */
  putUint32(value: number, at: number): void {
    const { buffer } = this;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  bytes(value: Uint8Array): void {
    const at = this.reserve(value.length);
    this.buffer.set(value, at);
  }

  /** One length octet, then UTF-8. Throws INVALID_MESSAGE above 255 bytes. */
  shortString(value: string): void {
    if (value.length <= PLAIN_LENGTH_MAX && this.#plainString(value)) return;
    const length = Buffer.byteLength(value);
    if (length > LIMITS.shortStringBytesMax) {
      throw new BrokerError('INVALID_MESSAGE', `'${value.slice(0, 40)}…' has ${length} bytes as UTF-8.`, {
        cure: `Names, routing keys and string properties have at most ${LIMITS.shortStringBytesMax}.`,
      });
    }
    const at = this.reserve(1 + length);
    this.buffer[at] = length;
    this.buffer.write(value, at + 1, length, 'utf8');
  }

  /** A short ASCII string costs less than the call that would encode it. Returns false, and writes nothing, for others. */
  #plainString(value: string): boolean {
    const { length } = value;
    const at = this.reserve(1 + length);
    const { buffer } = this;
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) {
        this.end = at;
        return false;
      }
      buffer[at + 1 + i] = code;
    }
    buffer[at] = length;
    return true;
  }

  longString(value: string): void {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    const at = this.reserve(length);
    this.buffer.write(value, at, length, 'utf8');
  }
}

export function writeTable(out: ByteWriter, table: FieldTable, depth = 0): void {
  if (depth > LIMITS.tableDepthMax) {
    throw new BrokerError(
      'INVALID_MESSAGE',
      `Headers are nested deeper than ${LIMITS.tableDepthMax} tables.`,
      {
        cure: 'Put nested data into the body.',
      },
    );
  }
  const lengthAt = out.reserve(4);
  for (const name of Object.keys(table)) {
    const value = table[name];
    if (value === undefined) continue;
    out.shortString(name);
    writeValue(out, value, depth);
  }
  out.putUint32(out.end - lengthAt - 4, lengthAt);
}

function writeValue(out: ByteWriter, value: FieldValue, depth: number): void {
  switch (typeof value) {
    case 'string':
      out.uint8(T.longString);
      return out.longString(value);
    case 'number':
      return writeNumber(out, value);
    case 'bigint': {
      if (BigInt.asIntN(64, value) !== value) {
        throw new BrokerError('INVALID_MESSAGE', `A header holds the integer ${value}.`, {
          cure: 'Integers in headers have at most 64 bits; give a larger one as a string.',
        });
      }
      out.uint8(T.int64);
      const at = out.reserve(8);
      out.buffer.writeBigInt64BE(value, at);
      return undefined;
    }
    case 'boolean':
      out.uint8(T.boolean);
      return out.uint8(value ? 1 : 0);
    case 'object':
      return writeObject(out, value, depth);
    default:
      throw new BrokerError('INVALID_MESSAGE', `A header holds a ${typeof value}.`, {
        cure: 'Headers carry strings, numbers, booleans, dates, bytes, null, arrays and tables of these.',
      });
  }
}

function writeNumber(out: ByteWriter, value: number): void {
  if (!Number.isInteger(value) || Object.is(value, -0)) {
    out.uint8(T.double);
    const at = out.reserve(8);
    out.buffer.writeDoubleBE(value, at);
  } else if (value >= -0x8000_0000 && value <= 0x7fff_ffff) {
    out.uint8(T.int32);
    const at = out.reserve(4);
    out.buffer.writeInt32BE(value, at);
  } else if (Number.isSafeInteger(value)) {
    out.uint8(T.int64);
    const at = out.reserve(8);
    out.buffer.writeBigInt64BE(BigInt(value), at);
  } else {
    out.uint8(T.double);
    const at = out.reserve(8);
    out.buffer.writeDoubleBE(value, at);
  }
}

function writeObject(
  out: ByteWriter,
  value: Exclude<FieldValue, string | number | bigint | boolean>,
  depth: number,
): void {
  if (value === null) {
    out.uint8(T.void);
  } else if (value instanceof Date) {
    out.uint8(T.timestamp);
    out.uint64(Math.max(0, Math.floor(value.getTime() / 1000)));
  } else if (value instanceof Uint8Array) {
    out.uint8(T.bytes);
    out.uint32(value.length);
    out.bytes(value);
  } else if (Array.isArray(value)) {
    out.uint8(T.array);
    const lengthAt = out.reserve(4);
    if (depth >= LIMITS.tableDepthMax) writeTable(out, {}, depth + 1);
    for (const one of value as readonly FieldValue[]) writeValue(out, one, depth + 1);
    out.putUint32(out.end - lengthAt - 4, lengthAt);
  } else {
    out.uint8(T.table);
    writeTable(out, value as FieldTable, depth + 1);
  }
}

/** Reads what {@link ByteWriter} wrote; every read is bounds-checked by Buffer and throws RangeError past the end. */
export class ByteReader {
  constructor(
    readonly buffer: Buffer,
    public at: number = 0,
    readonly end: number = buffer.length,
  ) {}

  #take(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.end)
      throw new RangeError(`needs ${bytes} bytes at ${at}, but the data ends at ${this.end}`);
    this.at = at + bytes;
    return at;
  }

  uint8(): number {
    return this.buffer.readUInt8(this.#take(1));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  /** Throws RangeError above 2^53 - 1. */
  uint64(): number {
    const at = this.#take(8);
    const value = this.buffer.readUInt32BE(at) * 2 ** 32 + this.buffer.readUInt32BE(at + 4);
    if (!Number.isSafeInteger(value)) throw new RangeError(`the number at ${at} is above 2^53 - 1`);
    return value;
  }

  /** As near as a number comes: a stranger's timestamp may be any. */
  roughUint64(): number {
    const at = this.#take(8);
    return this.buffer.readUInt32BE(at) * 2 ** 32 + this.buffer.readUInt32BE(at + 4);
  }

  int64(): number | bigint {
    const value = this.buffer.readBigInt64BE(this.#take(8));
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.buffer.subarray(at, at + length);
  }

  shortString(): string {
    const length = this.uint8();
    const at = this.#take(length);
    return this.buffer.toString('utf8', at, at + length);
  }

  /** {@link shortString}; when its bytes are those of `likely`, which costs less to see than to decode, it is that. */
  likelyShortString(likely: string): string {
    const { buffer, at } = this;
    const length = this.uint8();
    if (length !== likely.length) {
      this.at = at;
      return this.shortString();
    }
    for (let i = 0; i < length; i++) {
      const octet = buffer[at + 1 + i] as number;
      if (octet > 0x7f || octet !== likely.charCodeAt(i)) {
        this.at = at;
        return this.shortString();
      }
    }
    this.#take(length);
    return likely;
  }

  skip(bytes: number): void {
    this.#take(bytes);
  }

  longString(): string {
    const length = this.uint32();
    const at = this.#take(length);
    return this.buffer.toString('utf8', at, at + length);
  }

  /** A reader of the next `length` bytes only. */
  slice(length: number): ByteReader {
    const at = this.#take(length);
    return new ByteReader(this.buffer, at, at + length);
  }
}

export function readTable(from: ByteReader, depth = 0): FieldTable {
  if (depth > LIMITS.tableDepthMax)
    throw new RangeError(`tables are nested deeper than ${LIMITS.tableDepthMax}`);
  const body = from.slice(from.uint32());
  const table: Record<string, FieldValue> = {};
  while (body.at < body.end) {
    const name = body.shortString();
    const value = readValue(body, depth);
    // A name like __proto__ is data, never a prototype.
    if (name === '__proto__') {
      Object.defineProperty(table, name, { value, enumerable: true, configurable: true, writable: true });
    } else table[name] = value;
  }
  return table;
}

/** A type octet and its value. */
export function readValue(from: ByteReader, depth = 0): FieldValue {
  const type = from.uint8();
  switch (type) {
    case T.longString:
      return from.longString();
    case T.int32:
      return from.uint32() | 0;
    case T.boolean:
      return from.uint8() !== 0;
    case T.table:
      return readTable(from, depth + 1);
    case T.array:
      return readArray(from, depth + 1);
    case T.int64:
      return from.int64();
    case T.double:
      return from.bytes(8).readDoubleBE();
    case T.float:
      return from.bytes(4).readFloatBE();
    case T.timestamp:
      return new Date(from.roughUint64() * 1000);
    case T.bytes:
      return from.bytes(from.uint32());
    case T.void:
      return null;
    case T.int8:
      return (from.uint8() << 24) >> 24;
    case T.uint8:
      return from.uint8();
    case T.int16:
      return (from.uint16() << 16) >> 16;
    case T.uint16:
      return from.uint16();
    case T.uint32:
      return from.uint32();
    case T.decimal: {
      const scale = from.uint8();
      return (from.uint32() | 0) / 10 ** scale;
    }
    default:
      throw new RangeError(`unknown field type 0x${type.toString(16)} at ${from.at - 1}`);
  }
}

function readArray(from: ByteReader, depth: number): FieldValue[] {
  if (depth > LIMITS.tableDepthMax)
    throw new RangeError(`arrays are nested deeper than ${LIMITS.tableDepthMax}`);
  const body = from.slice(from.uint32());
  const values: FieldValue[] = [];
  while (body.at < body.end) values.push(readValue(body, depth));
  return values;
}
