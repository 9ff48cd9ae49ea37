import { crc32 } from 'node:zlib';
import { EncodedEnvelope, EncodedMessage } from '../message/encoded-message.js';
import type { Message } from '../message/message.js';
import { writeProperties } from '../message/properties-codec.js';
import { ByteReader, type ByteWriter } from '../message/table-codec.js';
import { PLANTED } from './planted.js';
import { readQueues, type RecordQueues, skipQueues, writeQueues } from './queue-mark-codec.js';
import type { Marks } from './message-store.js';

/**
 * A record of the journal. Integers are big-endian.
 *
 *     0        4        8      9         12
 *     +--------+--------+------+---------+---------- … --+
 *     | length | CRC-32 | type | zero    | payload       |
 *     +--------+--------+------+---------+---------- … --+
 *
 * `length` counts the whole record. The CRC is over everything from `type` to the end, and starts from `length`,
 * so that a changed length is noticed too (J4).
 */
export const RECORD_HEADER_BYTES = 12;

export const RECORD_TYPE = {
  /** Starts a commit, says where it is, and how far the journal was durable when it was written. */
  commit: 1,
  /** A message, its body, and the queues it went to. */
  publish: 2,
  /** Messages that left their queues for good. */
  settle: 3,
  /** A message that came back to its queue after a failed attempt, with its delivery count. */
  requeue: 4,
  /** A message taken from one queue and put into others, in one (J2). The body stays where it is. */
  move: 5,
  /** A definition made, changed or removed. */
  define: 6,
  /** A message brought forward, with its sequence, and delivery counts, so that the segment where it was can go. */
  copy: 7,
  /** All messages of a queue up to a sequence leave it, but some that are named: purged or expired. */
  discard: 8,
  /** Records that take effect together or not at all (J2). They lie inside it, each readable by itself. */
  transaction: 9,
  /** Bytes that could not be read and were given up by a repair. Holds nothing. */
  gap: 10,
} as const;

/** Reserves the header; returns where the record starts. Its payload is written next, then {@link endRecord}. */
export function beginRecord(out: ByteWriter, type: number): number {
  const start = out.reserve(RECORD_HEADER_BYTES);
  out.putUint32(type << 24, start + 8);
  return start;
}

export function endRecord(out: ByteWriter, start: number): void {
  const length = out.end - start;
  out.putUint32(length, start);
  out.putUint32(crc32(out.buffer.subarray(start + 8, out.end), length), start + 4);
}

export interface RawRecord {
  readonly type: number;
  readonly length: number;
  readonly payload: ByteReader;
}

export type RecordCheck =
  | { readonly ok: true; readonly record: RawRecord }
  /** `needs` is how many bytes the record claims, when the header could be read and claims more than there is. */
  | { readonly ok: false; readonly why: string; readonly needs?: number };

/** Reads and checks the record at `at`. Never throws: what is wrong is a value. */
export function readRecord(buffer: Buffer, at: number): RecordCheck {
  if (at + RECORD_HEADER_BYTES > buffer.length) {
    return { ok: false, why: 'the file ends inside a record header', needs: RECORD_HEADER_BYTES };
  }
  const length = buffer.readUInt32BE(at);
  if (length < RECORD_HEADER_BYTES) return { ok: false, why: `a record can't have ${length} bytes` };
  if (at + length > buffer.length) return { ok: false, why: 'the file ends inside a record', needs: length };
  const expected = buffer.readUInt32BE(at + 4);
  const actual = crc32(buffer.subarray(at + 8, at + length), length);
  if (expected !== actual && !PLANTED.checksumIgnored) {
    return { ok: false, why: 'the checksum does not match the bytes' };
  }
  const type = buffer.readUInt8(at + 8);
  return {
    ok: true,
    record: { type, length, payload: new ByteReader(buffer, at + RECORD_HEADER_BYTES, at + length) },
  };
}

/** Where a record lies: the segment's number and the offset in its file, in one safe integer. */
export type Position = number;

const OFFSET_SPAN = 2 ** 30;

export function positionOf(segment: number, offset: number): Position {
  return segment * OFFSET_SPAN + offset;
}

export function segmentOf(position: Position): number {
  return Math.floor(position / OFFSET_SPAN);
}

export function offsetOf(position: Position): number {
  return position % OFFSET_SPAN;
}

export interface PublishRecord extends RecordQueues {
  readonly sequence: number;
  readonly message: Message;
}

/** sequence u64, queues and their marks, exchange, routing key, properties' length u32, properties, body. */
export function writePublish(
  out: ByteWriter,
  sequence: number,
  queueIds: readonly number[],
  message: Message,
  marks?: Marks,
): void {
  const start = beginRecord(out, RECORD_TYPE.publish);
  out.uint64(sequence);
  writeQueues(out, queueIds, marks);
  writeEnvelope(out, message);
  out.bytes(message.body);
  endRecord(out, start);
}

function writeEnvelope(out: ByteWriter, message: Omit<Message, 'body'>): void {
  out.shortString(message.exchange);
  out.shortString(message.routingKey);
  const lengthAt = out.reserve(4);
  const { propertiesBytes } = message;
  if (propertiesBytes === undefined) writeProperties(out, message.properties);
  else out.bytes(propertiesBytes);
  out.putUint32(out.end - lengthAt - 4, lengthAt);
}

function readEnvelope(from: ByteReader): EncodedEnvelope {
  const exchange = from.shortString();
  const routingKey = from.shortString();
  return new EncodedEnvelope(exchange, routingKey, from.bytes(from.uint32()));
}

/** What was decoded last: neighbours in a journal mostly went the same way. */
let lastExchange = '';
let lastRoutingKey = '';

/** The message of a publish record, without its sequence and queues. */
export function readMessage(payload: ByteReader): Message {
  payload.skip(8);
  skipQueues(payload);
  const exchange = (lastExchange = payload.likelyShortString(lastExchange));
  const routingKey = (lastRoutingKey = payload.likelyShortString(lastRoutingKey));
  const properties = payload.bytes(payload.uint32());
  return new EncodedMessage(exchange, routingKey, properties, payload.bytes(payload.end - payload.at));
}

/** The message of a copy record. */
export function readCopiedMessage(payload: ByteReader): Message {
  payload.skip(payload.uint16() * 4);
  return readMessage(payload);
}

/** Only what recovery needs: no strings, no properties, no body. */
export function readPublishIndex(payload: ByteReader): Omit<PublishRecord, 'message'> {
  return { sequence: payload.uint64(), ...readQueues(payload) };
}

export interface CopyRecord extends PublishRecord {
  /** For each queue, in their order. In one record with the message: what told them before may go with a segment. */
  readonly deliveryCounts: readonly number[];
}

/** count of counts u16, counts u32 each, then as in publish. */
export function writeCopy(
  out: ByteWriter,
  { deliveryCounts, sequence, queueIds, marks, message }: CopyRecord,
): void {
  const start = beginRecord(out, RECORD_TYPE.copy);
  out.uint16(deliveryCounts.length);
  for (const count of deliveryCounts) out.uint32(count);
  out.uint64(sequence);
  writeQueues(out, queueIds, marks);
  writeEnvelope(out, message);
  out.bytes(message.body);
  endRecord(out, start);
}

function readDeliveryCounts(payload: ByteReader): number[] {
  return Array.from({ length: payload.uint16() }, () => payload.uint32());
}

/** Only what recovery needs. */
export function readCopyIndex(payload: ByteReader): Omit<CopyRecord, 'message'> {
  return { deliveryCounts: readDeliveryCounts(payload), ...readPublishIndex(payload) };
}

export interface MoveRecord extends RecordQueues {
  readonly sequence: number;
  readonly fromQueueId: number;
  readonly fromSequence: number;
  /** The publish or copy record that holds the body; {@link OWN_BODY} when this record does. */
  readonly bodyPosition: Position;
  readonly message: Omit<Message, 'body'>;
  /** Only with {@link OWN_BODY}. */
  readonly body: Buffer | undefined;
}

/** No record is here. */
export const OWN_BODY: Position = 0;

/** sequence u64, from-queue u32, from-sequence u64, body position u64, then as in publish; the body if it is its own. */
export function writeMove(out: ByteWriter, move: MoveRecord): void {
  const start = beginRecord(out, RECORD_TYPE.move);
  out.uint64(move.sequence);
  out.uint32(move.fromQueueId);
  out.uint64(move.fromSequence);
  out.uint64(move.bodyPosition);
  writeQueues(out, move.queueIds, move.marks);
  writeEnvelope(out, move.message);
  if (move.body !== undefined) out.bytes(move.body);
  endRecord(out, start);
}

export function readMove(payload: ByteReader): MoveRecord {
  const index = readMoveIndex(payload);
  const message = readEnvelope(payload);
  const body = index.bodyPosition === OWN_BODY ? payload.bytes(payload.end - payload.at) : undefined;
  return { ...index, message, body };
}

/** Only what recovery needs: no strings, no properties. */
export function readMoveIndex(payload: ByteReader): Omit<MoveRecord, 'message' | 'body'> {
  const sequence = payload.uint64();
  const fromQueueId = payload.uint32();
  const fromSequence = payload.uint64();
  const bodyPosition = payload.uint64();
  return { sequence, fromQueueId, fromSequence, bodyPosition, ...readQueues(payload) };
}

/** queue id u32, sequence u64: as many as the record has room for. */
export function writeSettlements(
  out: ByteWriter,
  queueIds: readonly number[],
  sequences: readonly number[],
): void {
  const start = beginRecord(out, RECORD_TYPE.settle);
  for (let i = 0; i < queueIds.length; i++) {
    out.uint32(queueIds[i] as number);
    out.uint64(sequences[i] as number);
  }
  endRecord(out, start);
}

export interface RequeueRecord {
  readonly queueId: number;
  readonly sequence: number;
  readonly deliveryCount: number;
  /** Takes the place of what the message's mark said. 0: none, and not written. */
  readonly readyAt: number;
}

/** queue id u32, sequence u64, delivery count u32; then ready at u64, unless it is 0. */
export function writeRequeue(
  out: ByteWriter,
  { queueId, sequence, deliveryCount, readyAt }: RequeueRecord,
): void {
  const start = beginRecord(out, RECORD_TYPE.requeue);
  out.uint32(queueId);
  out.uint64(sequence);
  out.uint32(deliveryCount);
  if (readyAt !== 0) out.uint64(readyAt);
  endRecord(out, start);
}

export function readRequeue(payload: ByteReader): RequeueRecord {
  return {
    queueId: payload.uint32(),
    sequence: payload.uint64(),
    deliveryCount: payload.uint32(),
    readyAt: payload.at < payload.end ? payload.uint64() : 0,
  };
}

/** A definition as the store sees it: JSON under a key. A removed one has the value `null`. */
export interface DefinitionRecord {
  readonly sequence: number;
  readonly key: string;
  readonly value: unknown;
}

/** sequence u64, then key and value (JSON), each a u32 length and UTF-8. */
export function writeDefinition(out: ByteWriter, { sequence, key, value }: DefinitionRecord): void {
  const start = beginRecord(out, RECORD_TYPE.define);
  out.uint64(sequence);
  out.longString(key);
  out.longString(JSON.stringify(value));
  endRecord(out, start);
}

export function readDefinition(payload: ByteReader): DefinitionRecord {
  const sequence = payload.uint64();
  const key = payload.longString();
  return { sequence, key, value: JSON.parse(payload.longString()) as unknown };
}

export interface CommitRecord {
  /** Its own: a piece of a journal in a body is not taken for one. */
  readonly position: Position;
  /** Everything before this was durable when the commit was written. */
  readonly durableUpTo: Position;
  /** The segment's, which no body's writer knows. */
  readonly key: number;
}

export const COMMIT_RECORD_BYTES: number = RECORD_HEADER_BYTES + 24;

/** position u64, durable up to u64, key u64. */
export function writeCommit(out: ByteWriter, { position, durableUpTo, key }: CommitRecord): void {
  const start = beginRecord(out, RECORD_TYPE.commit);
  out.uint64(position);
  out.uint64(durableUpTo);
  out.uint64(key);
  endRecord(out, start);
}

export function readCommit(payload: ByteReader): CommitRecord {
  return { position: payload.uint64(), durableUpTo: payload.uint64(), key: payload.uint64() };
}

export interface DiscardRecord {
  readonly queueId: number;
  /** The queue's messages up to this sequence are gone … */
  readonly through: number;
  /** … but these: they were in a consumer's hands. */
  readonly kept: readonly number[];
}

/** queue id u32, through-sequence u64, then the kept sequences, u64 each. */
export function writeDiscard(out: ByteWriter, { queueId, through, kept }: DiscardRecord): void {
  const start = beginRecord(out, RECORD_TYPE.discard);
  out.uint32(queueId);
  out.uint64(through);
  for (const sequence of kept) out.uint64(sequence);
  endRecord(out, start);
}

export function readDiscard(payload: ByteReader): DiscardRecord {
  const queueId = payload.uint32();
  const through = payload.uint64();
  const kept: number[] = [];
  while (payload.at < payload.end) kept.push(payload.uint64());
  return { queueId, through, kept };
}

/** The records inside a transaction, and how far from its start each of them lies. Throws when they do not fill it. */
export function recordsInside(transaction: RawRecord): { record: RawRecord; offset: number }[] {
  const { payload, length } = transaction;
  const inside: { record: RawRecord; offset: number }[] = [];
  while (payload.at < payload.end) {
    const check = readRecord(payload.buffer, payload.at);
    if (!check.ok) throw new Error(`a record inside a transaction: ${check.why}`);
    inside.push({ record: check.record, offset: length - (payload.end - payload.at) });
    payload.at += check.record.length;
  }
  return inside;
}
