import { ByteWriter } from '../message/table-codec.js';
import type { File, FileSystem } from '../store/file-system.js';
import {
  type Position,
  positionOf,
  writeCommit,
  writeCopy,
  writeDefinition,
  writeRequeue,
  writeSettlements,
} from '../store/record.js';
import {
  encodeSegmentHeader,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentFileName,
} from '../store/segment.js';
import type { SegmentReader } from '../store/segment-reader.js';
import type { MessageInQueue, RescuedMessage } from './queue-state.js';
import { fresh, writeFresh } from './repair-files.js';
import type { Appended } from './repair-plan.js';

/** A commit is written when it has grown to this. Bytes. */
const COMMIT_BYTES = 1024 * 1024;
/** A segment is closed when it has grown to this. Bytes. */
const SEGMENT_BYTES = 64 * 1024 * 1024;
const SETTLEMENTS_PER_RECORD = 4096;

/** What was appended: the names of its segments, oldest first, and where it ends. */
export interface AppendedSegments {
  readonly names: readonly string[];
  readonly end: Position;
}

/** Writes new last segments with what is to be known besides what reads, each beside its place, and synced. */
export async function appendSegments(
  fileSystem: FileSystem,
  directory: string,
  reader: SegmentReader,
  appended: Appended,
  newSegmentKey: () => number,
): Promise<AppendedSegments> {
  const records = recordsOf(appended, reader);
  const names: string[] = [];
  let { number, previousEnd } = appended.header;
  for (;;) {
    const name = segmentFileName(number);
    names.push(name);
    const { firstSequence } = appended.header;
    const header = { key: newSegmentKey(), number, previousEnd, firstSequence };
    let written = { end: 0, isLast: true };
    await writeFresh(fileSystem, `${directory}/${fresh(name)}`, async (file) => {
      written = await writeSegment(file, header, records);
    });
    if (written.isLast) return { names, end: positionOf(number, written.end) };
    number++;
    previousEnd = written.end;
  }
}

type WriteRecord = (out: ByteWriter) => void;

async function writeSegment(
  file: File,
  header: SegmentHeader,
  records: AsyncIterator<WriteRecord>,
): Promise<{ end: number; isLast: boolean }> {
  await file.write(encodeSegmentHeader(header), 0);
  let at = SEGMENT_HEADER_BYTES;
  while (at < SEGMENT_BYTES) {
    const out = new ByteWriter(2 * COMMIT_BYTES);
    const position = positionOf(header.number, at);
    // All before it was synced before it gets its name.
    writeCommit(out, { position, durableUpTo: position, key: header.key });
    let isLast = false;
    while (out.end < COMMIT_BYTES && !isLast) {
      const next = await records.next();
      if (next.done === true) isLast = true;
      else next.value(out);
    }
    await file.write(out.buffer.subarray(0, out.end), at);
    at += out.end;
    if (isLast) return { end: at, isLast };
  }
  return { end: at, isLast: false };
}

async function* recordsOf(
  { header, definitions, rescued, settled, counted }: Appended,
  reader: SegmentReader,
): AsyncGenerator<WriteRecord, undefined> {
  let sequence = header.firstSequence;
  for (const [key, value] of definitions) {
    const definition = { sequence: sequence++, key, value };
    yield (out) => writeDefinition(out, definition);
  }
  for (const copies of bySequence(rescued)) yield await copyOf(copies, reader);
  for (let from = 0; from < settled.length; from += SETTLEMENTS_PER_RECORD) {
    const part = settled.slice(from, from + SETTLEMENTS_PER_RECORD);
    yield (out) =>
      writeSettlements(
        out,
        part.map((one) => one.queueId),
        part.map((one) => one.sequence),
      );
  }
  for (const one of counted) yield requeueOf(one);
}

function requeueOf({ mark, ...message }: MessageInQueue): WriteRecord {
  return (out) => writeRequeue(out, { ...message, readyAt: mark.readyAt });
}

/** The message as it was before it was moved, under the sequence that it got: its new envelope is lost. */
async function copyOf(copies: readonly RescuedMessage[], reader: SegmentReader): Promise<WriteRecord> {
  const [{ sequence, bodyPosition }] = copies as [RescuedMessage];
  const [message] = await reader.read([bodyPosition], Infinity);
  if (message === undefined) throw new Error(`nothing is at ${bodyPosition}`);
  const queueIds = copies.map((one) => one.queueId);
  const deliveryCounts = copies.map((one) => one.deliveryCount);
  const marks = copies.map((one) => one.mark);
  return (out) => writeCopy(out, { sequence, queueIds, marks, deliveryCounts, message });
}

function bySequence(rescued: readonly RescuedMessage[]): Iterable<RescuedMessage[]> {
  const groups = new Map<number, RescuedMessage[]>();
  for (const one of rescued) groups.set(one.sequence, [...(groups.get(one.sequence) ?? []), one]);
  return groups.values();
}
