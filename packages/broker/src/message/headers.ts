import { checkProperties } from './encoded-properties.js';
import { type Field, fieldsOf, tableOf } from './fields.js';
import type { Message } from './message.js';
import { writeProperties } from './properties-codec.js';
import { ByteWriter } from './table-codec.js';

/** Of the presence flags; see properties-codec.ts. */
const HEADERS = 1 << 13;
const EXPIRATION = 1 << 8;
const BEFORE_HEADERS = [1 << 15, 1 << 14] as const;

/** The properties as a client sent them, or as they would be on the wire. */
export function propertyBytesOf(message: Pick<Message, 'properties' | 'propertiesBytes'>): Buffer {
  // Not asked for where it is not needed: it may have to be decoded.
  if (message.propertiesBytes !== undefined) return message.propertiesBytes;
  const out = new ByteWriter();
  writeProperties(out, message.properties);
  return out.buffer.subarray(0, out.end);
}

/** The headers in properties that were checked; none is an empty list. */
export function headersIn(propertyBytes: Buffer): Field[] {
  const { headersAt, headersEnd } = checkProperties(propertyBytes);
  return headersAt < 0 ? [] : fieldsOf(propertyBytes.subarray(headersAt - 4, headersEnd));
}

/** The same properties with other headers, all else byte for byte; on request without the expiration. */
export function withHeaders(
  propertyBytes: Buffer,
  headers: readonly Field[],
  { dropExpiration = false }: { readonly dropExpiration?: boolean } = {},
): Buffer {
  const { headersAt, headersEnd, expirationAt } = checkProperties(propertyBytes);
  const flags = propertyBytes.readUInt16BE(0);
  const from = headersAt < 0 ? placeOfHeaders(propertyBytes, flags) : headersAt - 4;
  const to = headersAt < 0 ? from : headersEnd;
  const drops = dropExpiration && expirationAt >= 0;
  const start = Buffer.from(propertyBytes.subarray(0, from));
  start.writeUInt16BE((flags | HEADERS) & (drops ? ~EXPIRATION : 0xffff), 0);
  const parts = [start, tableOf(headers)];
  if (!drops) parts.push(propertyBytes.subarray(to));
  else {
    const expirationEnd = expirationAt + 1 + (propertyBytes[expirationAt] as number);
    parts.push(propertyBytes.subarray(to, expirationAt), propertyBytes.subarray(expirationEnd));
  }
  return Buffer.concat(parts);
}

function placeOfHeaders(bytes: Buffer, flags: number): number {
  let at = 2;
  for (const flag of BEFORE_HEADERS) if (flags & flag) at += 1 + (bytes[at] as number);
  return at;
}

/** Replaces the field of this name, or adds it at the end. */
export function withField(fields: readonly Field[], field: Field): Field[] {
  const at = fields.findIndex(({ name }) => name === field.name);
  return at < 0 ? [...fields, field] : fields.with(at, field);
}
