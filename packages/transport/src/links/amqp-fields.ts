import type { FieldTable, FieldValue, MessageProperties } from '@nestmq/broker';
import type { MessageProperties as AmqplibProperties } from 'amqplib';

/** A field value with its type, as amqplib writes and reads what JavaScript has no type of its own for. */
interface TypedField {
  readonly '!': string;
  readonly value: unknown;
}

/** Headers as amqplib takes them. */
export function toAmqplib(table: FieldTable): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(table)) {
    if (value !== undefined) result[name] = fieldToAmqplib(value);
  }
  return result;
}

function fieldToAmqplib(value: FieldValue): unknown {
  if (typeof value === 'bigint') return { '!': 'long', value };
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (value instanceof Date) return { '!': 'timestamp', value: Math.floor(value.getTime() / 1000) };
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (Array.isArray(value)) return (value as readonly FieldValue[]).map(fieldToAmqplib);
  return toAmqplib(value as FieldTable);
}

/** Headers as amqplib read them. */
export function fromAmqplib(headers: Readonly<Record<string, unknown>>): FieldTable {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, fieldFromAmqplib(value)]));
}

function fieldFromAmqplib(value: unknown): FieldValue {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value as FieldValue;
  if (Array.isArray(value)) return value.map(fieldFromAmqplib);
  if (!('!' in value)) return fromAmqplib(value as Record<string, unknown>);
  const { '!': type, value: inner } = value as TypedField;
  if (type === 'timestamp') return new Date(Number(inner) * 1000);
  const { digits, places } = inner as { readonly digits: number; readonly places: number };
  return digits / 10 ** places;
}

const NAMES = [
  'contentType',
  'contentEncoding',
  'deliveryMode',
  'priority',
  'correlationId',
  'replyTo',
  'expiration',
  'messageId',
  'timestamp',
  'type',
  'userId',
  'appId',
] as const satisfies readonly (keyof MessageProperties)[];

/** Properties of a message as amqplib read them; those that are not there are left out. */
export function propertiesFrom(properties: AmqplibProperties): MessageProperties {
  const result: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value: unknown = properties[name];
    if (value !== undefined) result[name] = value;
  }
  const { headers } = properties;
  if (headers !== undefined && Object.keys(headers).length > 0) result['headers'] = fromAmqplib(headers);
  return result;
}

export function propertiesTo({ headers, ...properties }: MessageProperties): Record<string, unknown> {
  return headers === undefined ? properties : { ...properties, headers: toAmqplib(headers) };
}
