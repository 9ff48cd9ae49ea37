import { BrokerError, messageOf } from '../errors.js';
import { readSnapshot } from './definition-snapshot.js';
import type { Marked } from './durable-mark.js';
import type { FileSystem } from './file-system.js';
import type { StoredEntry } from './message-store.js';
import {
  type Position,
  positionOf,
  type RawRecord,
  readCopyIndex,
  readDefinition,
  readMove,
  readPublishIndex,
  readRecord,
  RECORD_HEADER_BYTES,
  RECORD_TYPE,
  segmentOf,
} from './record.js';
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  SEGMENT_HEADER_BYTES,
  segmentFileName,
  segmentNumberOf,
} from './segment.js';

export interface RecoveredEntry extends StoredEntry {
  deliveryCount: number;
  /** Where the body is: the same as `position`, but for a moved message. */
  readonly bodyPosition: Position;
}

export interface RecoveredSegment {
  readonly number: number;
  /** Bytes that read well, the header included. */
  bytes: number;
  /** Bytes in the file; more than `bytes` when the tail is torn. */
  readonly fileBytes: number;
  lastDefinitionSequence: number;
  /** Messages that its records put into queues, settled or not. */
  messages: number;
}

export interface RecoveredJournal {
  readonly segments: RecoveredSegment[];
  readonly entries: Map<number, Map<number, RecoveredEntry>>;
  readonly definitions: Map<string, unknown>;
  /** The snapshot of definitions reaches up to this sequence. */
  readonly snapshotThrough: number;
  nextSequence: number;
}

/**
 * Reads a journal directory and changes nothing (J3, J4).
 *
 * The last segment may end in a torn tail, which is left out. A record that does not read is such a tail only if
 * nothing says that it was durable: not the mark, not a later commit record. Anywhere else it is damage, and the
 * promise rejects with JOURNAL_DAMAGED.
 */
export async function recoverJournal(
  fileSystem: FileSystem,
  directory: string,
  marked: Marked,
): Promise<RecoveredJournal> {
  const snapshot = await readSnapshot(fileSystem, directory);
  const journal: RecoveredJournal = {
    segments: [],
    entries: new Map(),
    definitions: new Map(snapshot.definitions),
    snapshotThrough: snapshot.through,
    nextSequence: snapshot.through + 1,
  };
  const { position: durableUpTo } = marked;
  const numbers = await segmentNumbers(fileSystem, directory, marked);
  for (const number of numbers) {
    const path = `${directory}/${segmentFileName(number)}`;
    const buffer = await readWhole(fileSystem, path);
    const isLast = number === numbers.at(-1);
    const segment = replaySegment(journal, buffer, { directory, path, number, isLast, durableUpTo });
    if (segment !== undefined) journal.segments.push(segment);
  }
  return journal;
}

async function segmentNumbers(
  fileSystem: FileSystem,
  directory: string,
  { position: durableUpTo, firstSegment }: Marked,
): Promise<number[]> {
  const numbers = (await fileSystem.list(directory))
    .map(segmentNumberOf)
    .filter((number) => number !== undefined)
    .toSorted((a, b) => a - b);
  const first = numbers[0] ?? 0;
  const last = numbers.at(-1) ?? 0;
  if (first > firstSegment && firstSegment > 0) throw missing(directory, firstSegment);
  // Segments go from the oldest on, each removal durable before the next: a gap is a loss.
  for (let number = first; number < last; number++) {
    if (!numbers.includes(number)) throw missing(directory, number);
  }
  if (durableUpTo > 0 && segmentOf(durableUpTo) > last) throw missing(directory, segmentOf(durableUpTo));
  return numbers;
}

function missing(directory: string, number: number): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `${directory}/${segmentFileName(number)} is missing.`, {
    severity: 'broker',
    cure: 'Nothing was changed. Put the file back, or restore the directory from a backup.',
  });
}

async function readWhole(fileSystem: FileSystem, path: string): Promise<Buffer> {
  const file = await fileSystem.open(path, 'read');
  try {
    const buffer = Buffer.allocUnsafe(await file.size());
    const count = await file.read(buffer, 0);
    return buffer.subarray(0, count);
  } finally {
    await file.close();
  }
}

interface SegmentSource {
  readonly directory: string;
  readonly path: string;
  readonly number: number;
  readonly isLast: boolean;
  readonly durableUpTo: Position;
}

/** Returns undefined for a last segment that was being made when the process ended: it holds nothing. */
function replaySegment(
  journal: RecoveredJournal,
  buffer: Buffer,
  source: SegmentSource,
): RecoveredSegment | undefined {
  const header = decodeSegmentHeader(buffer, source.path);
  if (typeof header === 'string') {
    refuseIfDurable(buffer, 0, header, source);
    return undefined;
  }
  if (header.number !== source.number) {
    throw damaged(source.path, 0, `its header says it is segment ${header.number}`);
  }
  refuseIfPreviousIsShort(journal.segments.at(-1), header.previousEnd, source);
  journal.nextSequence = Math.max(journal.nextSequence, header.firstSequence);
  const segment = {
    number: source.number,
    bytes: 0,
    fileBytes: buffer.length,
    lastDefinitionSequence: 0,
    messages: 0,
  };
  let at = SEGMENT_HEADER_BYTES;
  while (at < buffer.length) {
    const check = readRecord(buffer, at);
    if (!check.ok) {
      refuseIfDurable(buffer, at, check.why, source);
      break;
    }
    replayRecord(journal, segment, check.record, positionOf(source.number, at), source.path);
    at += check.record.length;
  }
  if (at >= buffer.length) refuseIfShort(at, source);
  segment.bytes = at;
  return segment;
}

/** The file before ended where a record ends, but had more when this one was made. */
function refuseIfPreviousIsShort(
  previous: RecoveredSegment | undefined,
  end: number,
  { directory }: SegmentSource,
): void {
  if (previous === undefined || previous.bytes === end) return;
  throw damaged(
    `${directory}/${segmentFileName(previous.number)}`,
    previous.bytes,
    `it ends here, but had ${end} bytes when the next segment was made`,
  );
}

/** The file ends where a record ends, but the mark knows of more. */
function refuseIfShort(at: number, source: SegmentSource): void {
  if (source.isLast && positionOf(source.number, at) < source.durableUpTo) {
    throw damaged(
      source.path,
      at,
      `it ends here, but was durable up to offset ${source.durableUpTo - positionOf(source.number, 0)}`,
    );
  }
}

function refuseIfDurable(buffer: Buffer, at: number, why: string, source: SegmentSource): void {
  const position = positionOf(source.number, at);
  const torn = source.isLast && source.durableUpTo <= position && !isBeforeCommit(buffer, at, source);
  if (!torn) throw damaged(source.path, at, why);
}

/** Whether a commit starts after `at`: what is before a commit was durable when it was written. */
function isBeforeCommit(buffer: Buffer, at: number, { number }: SegmentSource): boolean {
  for (let from = at + 1; from + RECORD_HEADER_BYTES <= buffer.length; from++) {
    if (buffer[from + 8] !== RECORD_TYPE.commit || buffer.readUInt32BE(from) !== RECORD_HEADER_BYTES + 8) {
      continue;
    }
    const check = readRecord(buffer, from);
    if (check.ok && check.record.payload.uint64() === positionOf(number, from)) return true;
  }
  return false;
}

function damaged(path: string, offset: number, why: string): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `${path} is damaged at offset ${offset}: ${why}.`, {
    severity: 'broker',
    cure: 'Nothing was changed. Restore the directory from a backup, or move it aside to start with an empty one.',
  });
}

function replayRecord(
  journal: RecoveredJournal,
  segment: RecoveredSegment,
  record: RawRecord,
  position: Position,
  path: string,
): void {
  try {
    applyRecord(journal, segment, record, position);
  } catch (error) {
    if (error instanceof BrokerError) throw error;
    // The checksum was right, so the bytes are as written: what is wrong is the writer.
    throw damaged(
      path,
      position - positionOf(segment.number, 0),
      `a record can't be read (${messageOf(error)})`,
    );
  }
}

function applyRecord(
  journal: RecoveredJournal,
  segment: RecoveredSegment,
  { type, payload }: RawRecord,
  position: Position,
): void {
  switch (type) {
    case RECORD_TYPE.commit:
      return;
    case RECORD_TYPE.publish: {
      const { sequence, queueIds } = readPublishIndex(payload);
      addEntry(journal, queueIds, { sequence, position, bodyPosition: position, deliveryCount: 0 });
      segment.messages += queueIds.length;
      return;
    }
    case RECORD_TYPE.copy: {
      const { sequence, queueIds, deliveryCounts } = readCopyIndex(payload);
      for (const [i, queueId] of queueIds.entries()) {
        const deliveryCount = deliveryCounts[i] ?? 0;
        addEntry(journal, [queueId], { sequence, position, bodyPosition: position, deliveryCount });
      }
      segment.messages += queueIds.length;
      return;
    }
    case RECORD_TYPE.settle:
      while (payload.at < payload.end) removeEntry(journal, payload.uint32(), payload.uint64());
      return;
    case RECORD_TYPE.requeue: {
      const entry = journal.entries.get(payload.uint32())?.get(payload.uint64());
      if (entry !== undefined) entry.deliveryCount = payload.uint32();
      return;
    }
    case RECORD_TYPE.move: {
      const { sequence, fromQueueId, fromSequence, bodyPosition, queueIds } = readMove(payload);
      removeEntry(journal, fromQueueId, fromSequence);
      addEntry(journal, queueIds, { sequence, position, bodyPosition, deliveryCount: 0 });
      segment.messages += queueIds.length;
      return;
    }
    case RECORD_TYPE.define: {
      const { sequence, key, value } = readDefinition(payload);
      segment.lastDefinitionSequence = sequence;
      journal.nextSequence = Math.max(journal.nextSequence, sequence + 1);
      if (sequence <= journal.snapshotThrough) return;
      if (value === null) journal.definitions.delete(key);
      else journal.definitions.set(key, value);
      return;
    }
    default:
      throw new BrokerError(
        'JOURNAL_VERSION',
        `Segment ${segment.number} holds a record of the unknown type ${type}, which format version ${FORMAT_VERSION} does not have.`,
        { severity: 'broker', cure: 'Use the release of nestmq that wrote it; nothing was changed.' },
      );
  }
}

function addEntry(journal: RecoveredJournal, queueIds: readonly number[], entry: RecoveredEntry): void {
  journal.nextSequence = Math.max(journal.nextSequence, entry.sequence + 1);
  for (const queueId of queueIds) {
    let entries = journal.entries.get(queueId);
    if (entries === undefined) journal.entries.set(queueId, (entries = new Map()));
    entries.set(entry.sequence, queueIds.length === 1 ? entry : { ...entry });
  }
}

function removeEntry(journal: RecoveredJournal, queueId: number, sequence: number): void {
  journal.entries.get(queueId)?.delete(sequence);
}
