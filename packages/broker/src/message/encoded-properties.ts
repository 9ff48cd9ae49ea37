import { LIMITS } from '../limits.js';

/**
 * Content-header properties and field tables as bytes: checked, and looked into, without being decoded. What passes
 * the check can be decoded later, and passes through the broker as it came.
 */

/** Where a value lies in the bytes, without its length; -1 is nowhere. */
export interface PropertyPlaces {
  readonly deliveryMode: number | undefined;
  /** Of the headers' fields. */
  readonly headersAt: number;
  readonly headersEnd: number;
  /** Of the length octet of these short strings. */
  readonly replyToAt: number;
  readonly expirationAt: number;
  readonly userIdAt: number;
}

// Presence flags, from the most significant bit in the order of the basic class; see properties-codec.ts.
const DELIVERY_MODE = 1 << 12;
const HEADERS = 1 << 13;
const UNKNOWN = 0b11;
/** Content type and encoding come before the headers. */
const BEFORE_HEADERS = [1 << 15, 1 << 14] as const;

/** The delivery mode in properties that were checked, or undefined. */
export function deliveryModeIn(bytes: Buffer): number | undefined {
  const flags = bytes.readUInt16BE(0);
  if ((flags & DELIVERY_MODE) === 0) return undefined;
  let at = 2;
  for (const flag of BEFORE_HEADERS) if (flags & flag) at += 1 + (bytes[at] as number);
  if (flags & HEADERS) at += 4 + bytes.readUInt32BE(at);
  return bytes[at];
}

/** Throws RangeError when the bytes are not whole properties, flags first, and nothing else. */
export function checkProperties(bytes: Buffer): PropertyPlaces {
  const end = bytes.length;
  const flags = bytes.readUInt16BE(0);
  if ((flags & UNKNOWN) !== 0) throw new RangeError('unknown property flags');
  let at = 2;
  const places = {
    deliveryMode: undefined as number | undefined,
    headersAt: -1,
    headersEnd: -1,
    replyToAt: -1,
    expirationAt: -1,
    userIdAt: -1,
  };
  for (let bit = 15; bit >= 2; bit--) {
    if ((flags & (1 << bit)) === 0) continue;
    if (bit === 13) {
      places.headersAt = at + 4;
      at = places.headersEnd = checkTable(bytes, at, end);
    } else if (bit === 12 || bit === 11) {
      if (bit === 12 && at < end) places.deliveryMode = bytes[at];
      at += 1;
    } else if (bit === 6) at += 8;
    else {
      if (bit === 9) places.replyToAt = at;
      else if (bit === 8) places.expirationAt = at;
      else if (bit === 4) places.userIdAt = at;
      at += 1 + octetAt(bytes, at, end);
    }
    if (at > end) throw new RangeError(`properties end at ${end}, inside one of them`);
  }
  if (at !== end) throw new RangeError(`${end - at} bytes after the last property`);
  return places;
}

/** A table with its length before it; returns where it ends. Throws RangeError when it can't be decoded. */
export function checkTable(bytes: Buffer, at: number, end: number, depth = 0): number {
  assertDepth(depth);
  const fieldsEnd = longEnd(bytes, at, end);
  for (let next = at + 4; next < fieldsEnd;) {
    next += 1 + octetAt(bytes, next, fieldsEnd);
    next = checkValue(bytes, next, fieldsEnd, depth);
  }
  return fieldsEnd;
}

/** The same bytes with another short string, whose length octet is `at`. At most 255 bytes as UTF-8. */
export function withShortString(bytes: Buffer, at: number, text: string): Buffer {
  const value = Buffer.from(text);
  const end = at + 1 + (bytes[at] as number);
  return Buffer.concat([bytes.subarray(0, at), Buffer.from([value.length]), value, bytes.subarray(end)]);
}

function checkArray(bytes: Buffer, at: number, end: number, depth: number): number {
  assertDepth(depth);
  const valuesEnd = longEnd(bytes, at, end);
  for (let next = at + 4; next < valuesEnd;) next = checkValue(bytes, next, valuesEnd, depth);
  return valuesEnd;
}

/** A type octet and its value; returns where it ends. Throws RangeError when it can't be decoded. */
export function checkValue(bytes: Buffer, at: number, end: number, depth = 0): number {
  const type = String.fromCharCode(octetAt(bytes, at, end));
  const start = at + 1;
  if (type === 'F') return checkTable(bytes, start, end, depth + 1);
  if (type === 'A') return checkArray(bytes, start, end, depth + 1);
  if (type === 'S' || type === 'x') return longEnd(bytes, start, end);
  const size = FIXED_BYTES.get(type);
  if (size === undefined) throw new RangeError(`unknown field type '${type}' at ${at}`);
  if (start + size > end) throw new RangeError(`the value at ${start} ends after ${end}`);
  return start + size;
}

/** Of the values that have no length before them. */
const FIXED_BYTES: ReadonlyMap<string, number> = new Map(
  Object.entries({ V: 0, t: 1, b: 1, B: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, l: 8, d: 8, T: 8 }),
);

function octetAt(bytes: Buffer, at: number, end: number): number {
  if (at >= end) throw new RangeError(`needs an octet at ${at}, but the data ends at ${end}`);
  return bytes[at] as number;
}

/** The end of what has a u32 length before it. */
function longEnd(bytes: Buffer, at: number, end: number): number {
  const start = at + 4;
  if (start > end) throw new RangeError(`needs a length at ${at}, but the data ends at ${end}`);
  const valueEnd = start + bytes.readUInt32BE(at);
  if (valueEnd > end) throw new RangeError(`the value at ${start} ends after ${end}`);
  return valueEnd;
}

function assertDepth(depth: number): void {
  if (depth > LIMITS.tableDepthMax)
    throw new RangeError(`tables are nested deeper than ${LIMITS.tableDepthMax}`);
}
