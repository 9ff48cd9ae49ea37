import { BrokerError } from '../errors.js';
import type { MessageProperties } from './message.js';
import { type ByteReader, type ByteWriter, readTable, writeTable } from './table-codec.js';

/**
 * Content-header properties as AMQP 0-9-1 section 4.2.6.1 puts them: a word of presence flags, most significant
 * bit first in the order of the basic class, then the values that are present.
 */
const FLAG = {
  contentType: 1 << 15,
  contentEncoding: 1 << 14,
  headers: 1 << 13,
  deliveryMode: 1 << 12,
  priority: 1 << 11,
  correlationId: 1 << 10,
  replyTo: 1 << 9,
  expiration: 1 << 8,
  messageId: 1 << 7,
  timestamp: 1 << 6,
  type: 1 << 5,
  userId: 1 << 4,
  appId: 1 << 3,
  clusterId: 1 << 2,
} as const;

export function writeProperties(out: ByteWriter, p: MessageProperties): void {
  const flagsAt = out.reserve(2);
  let flags = 0;
  if (p.contentType !== undefined) {
    flags |= FLAG.contentType;
    out.shortString(p.contentType);
  }
  if (p.contentEncoding !== undefined) {
    flags |= FLAG.contentEncoding;
    out.shortString(p.contentEncoding);
  }
  if (p.headers !== undefined) {
    flags |= FLAG.headers;
    writeTable(out, p.headers);
  }
  if (p.deliveryMode !== undefined) {
    flags |= FLAG.deliveryMode;
    out.uint8(p.deliveryMode);
  }
  if (p.priority !== undefined) {
    flags |= FLAG.priority;
    out.uint8(p.priority);
  }
  if (p.correlationId !== undefined) {
    flags |= FLAG.correlationId;
    out.shortString(p.correlationId);
  }
  if (p.replyTo !== undefined) {
    flags |= FLAG.replyTo;
    out.shortString(p.replyTo);
  }
  if (p.expiration !== undefined) {
    flags |= FLAG.expiration;
    out.shortString(p.expiration);
  }
  if (p.messageId !== undefined) {
    flags |= FLAG.messageId;
    out.shortString(p.messageId);
  }
  if (p.timestamp !== undefined) {
    flags |= FLAG.timestamp;
    out.uint64(wholeSeconds(p.timestamp));
  }
  if (p.type !== undefined) {
    flags |= FLAG.type;
    out.shortString(p.type);
  }
  if (p.userId !== undefined) {
    flags |= FLAG.userId;
    out.shortString(p.userId);
  }
  if (p.appId !== undefined) {
    flags |= FLAG.appId;
    out.shortString(p.appId);
  }
  out.buffer.writeUInt16BE(flags, flagsAt);
}

/** What is written must be readable: a message that is not would stand in its queue's way for ever. */
function wholeSeconds(timestamp: number): number {
  if (Number.isSafeInteger(timestamp) && timestamp >= 0) return timestamp;
  throw new BrokerError('INVALID_MESSAGE', `The timestamp is ${timestamp}.`, {
    cure: 'Give whole seconds since the epoch, 0 or more.',
  });
}

export function readProperties(from: ByteReader): MessageProperties {
  const flags = from.uint16();
  const p: { -readonly [K in keyof MessageProperties]: MessageProperties[K] } = {};
  if (flags & FLAG.contentType) p.contentType = from.shortString();
  if (flags & FLAG.contentEncoding) p.contentEncoding = from.shortString();
  if (flags & FLAG.headers) p.headers = readTable(from);
  if (flags & FLAG.deliveryMode) p.deliveryMode = from.uint8();
  if (flags & FLAG.priority) p.priority = from.uint8();
  if (flags & FLAG.correlationId) p.correlationId = from.shortString();
  if (flags & FLAG.replyTo) p.replyTo = from.shortString();
  if (flags & FLAG.expiration) p.expiration = from.shortString();
  if (flags & FLAG.messageId) p.messageId = from.shortString();
  if (flags & FLAG.timestamp) p.timestamp = from.roughUint64();
  if (flags & FLAG.type) p.type = from.shortString();
  if (flags & FLAG.userId) p.userId = from.shortString();
  if (flags & FLAG.appId) p.appId = from.shortString();
  if (flags & FLAG.clusterId) from.shortString();
  return p;
}
