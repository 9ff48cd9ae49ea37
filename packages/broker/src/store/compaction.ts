import type { Message } from '../message/message.js';
import { readIndexFile } from './index-file.js';
import type { FileSystem } from './file-system.js';
import type { Residents } from './message-store.js';
import { PLANTED } from './planted.js';
import { type Position, positionOf, segmentOf } from './record.js';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentFileName } from './segment.js';
import { SegmentIndex } from './segment-index.js';
import { scanSegment } from './segment-scan.js';

/** A message that is still in queues, and where its record is. */
export interface Resident {
  readonly sequence: number;
  readonly position: Position;
  readonly queueIds: readonly number[];
}

export interface CompactionInit {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly residents: Residents;
  /** Of a segment that is not sealed yet, or whose index is not on the disk yet. */
  readonly openIndex: (segment: number) => SegmentIndex | undefined;
  readonly borrowersOf: (segment: number) => readonly number[];
  readonly read: (positions: readonly Position[], bytesMax: number) => Promise<Message[]>;
  /** Appends the message again, for the queues that still have it at that position, and tells them. */
  readonly copy: (resident: Resident, message: Message) => void;
  /** Resolves when what was copied is durable. */
  readonly durable: () => Promise<void>;
  /** The store is closing: no more is to be begun. */
  readonly stopped: () => boolean;
}

/** Rows looked at in one go: others have their turn after it. */
const ROWS_PER_TURN = 16_384;
/** Messages read in one go. */
const COPIES_PER_PART = 128;
/** What was copied is waited for after so much: publishers share the disk with it, and memory is bounded. Bytes. */
const COPIED_BYTES_MAX = 256 * 1024;

/**
 * Brings what is alive in the oldest segments forward, so that they can go: their own messages, and the bodies in them of
 * messages that were moved. Part by part: so memory is bounded, and so is the share of the disk. Resolves when all
 * of it is durable; with false when it was stopped before the end.
 */
export async function bringForward(init: CompactionInit, segments: readonly number[]): Promise<boolean> {
  const copying = new Copying(init);
  const leaving = new Set(segments);
  for (const segment of segments) {
    const own = await indexOf(init, segment);
    if (!(await copying.all(residentsOf(init, segment, own, allRows(own))))) return false;
  }
  const borrowers = new Set(segments.flatMap((segment) => init.borrowersOf(segment)));
  for (const borrower of borrowers) {
    if (leaving.has(borrower)) continue;
    const index = await indexOf(init, borrower);
    const rows = borrowingRows(index, leaving);
    if (!(await copying.all(residentsOf(init, borrower, index, rows)))) return false;
  }
  await init.durable();
  return true;
}

class Copying {
  #bytesSinceDurable = 0;

  constructor(private readonly init: CompactionInit) {}

  /** Returns whether it was not stopped. */
  async all(residents: AsyncIterable<Resident>): Promise<boolean> {
    let part: Resident[] = [];
    for await (const resident of residents) {
      if (this.init.stopped()) return false;
      part.push(resident);
      if (part.length < COPIES_PER_PART) continue;
      await this.#part(part);
      part = [];
    }
    await this.#part(part);
    return !this.init.stopped();
  }

  async #part(part: readonly Resident[]): Promise<void> {
    const { residents, read, copy, durable } = this.init;
    // In one go with the question: what is only in memory yet is there as long as a queue has it.
    const wanted = part.filter((one) => isResident(residents, one));
    if (wanted.length === 0) return;
    const positions = wanted.map(({ position }) => position);
    const messages = await read(positions, COPIED_BYTES_MAX);
    for (const [i, message] of messages.entries()) {
      copy(wanted[i] as Resident, message);
      this.#bytesSinceDurable += message.body.length;
      if (this.#bytesSinceDurable < COPIED_BYTES_MAX) continue;
      this.#bytesSinceDurable = 0;
      await durable();
    }
    await this.#part(wanted.slice(messages.length));
  }
}

function isResident(residents: Residents, { sequence, position, queueIds }: Resident): boolean {
  return (
    PLANTED.settledAreCopied ||
    queueIds.some((queueId) => residents.find(queueId, sequence)?.position === position)
  );
}

function* allRows(index: SegmentIndex): Generator<number> {
  for (let row = 0; row < index.sequences.length; row++) yield row;
}

/** Rows of messages in `index` whose bodies are in one of `segments`. Both columns of offsets grow. */
function* borrowingRows(index: SegmentIndex, segments: ReadonlySet<number>): Generator<number> {
  let row = 0;
  for (let i = 0; i < index.bodyPositions.length; i++) {
    if (!segments.has(segmentOf(index.bodyPositions.array[i] as number))) continue;
    const offset = index.borrowerOffsets.array[i] as number;
    while (row < index.offsets.length && (index.offsets.array[row] as number) < offset) row++;
    for (; index.offsets.array[row] === offset && row < index.offsets.length; row++) yield row;
  }
}

/** The messages of these rows that are still in queues: neighbouring rows of one message make one. */
async function* residentsOf(
  { residents }: CompactionInit,
  segment: number,
  index: SegmentIndex,
  rows: Iterable<number>,
): AsyncGenerator<Resident> {
  let looked = 0;
  let current: { sequence: number; position: Position; queueIds: number[] } | undefined;
  for (const row of rows) {
    if (++looked % ROWS_PER_TURN === 0) await new Promise(setImmediate);
    const sequence = index.sequences.array[row] as number;
    const queueId = index.queueIds.array[row] as number;
    const position = positionOf(segment, index.offsets.array[row] as number);
    if (residents.find(queueId, sequence)?.position !== position && !PLANTED.settledAreCopied) continue;
    if (current?.position === position) {
      current.queueIds.push(queueId);
      continue;
    }
    if (current !== undefined) yield current;
    current = { sequence, position, queueIds: [queueId] };
  }
  if (current !== undefined) yield current;
}

/** From memory, from its file, or from the records. Rejects with JOURNAL_DAMAGED's words when they do not read. */
async function indexOf(init: CompactionInit, segment: number): Promise<SegmentIndex> {
  const open = init.openIndex(segment);
  if (open !== undefined) return open;
  const { fileSystem, directory } = init;
  const path = `${directory}/${segmentFileName(segment)}`;
  const file = await fileSystem.open(path, 'read');
  try {
    const end = await file.size();
    const head = Buffer.alloc(SEGMENT_HEADER_BYTES);
    await file.read(head, 0);
    const header = decodeSegmentHeader(head, path);
    if (typeof header === 'string') throw new Error(`${path}: ${header}`);
    const stored = await readIndexFile(fileSystem, directory, segment, { id: header.checksum, end });
    if (stored !== undefined) return stored;
    const index = new SegmentIndex();
    for await (const part of scanSegment(file, { to: end })) {
      for (const one of part) {
        if (!one.ok) throw new Error(`${path} can't be read at offset ${one.offset}: ${one.why}`);
        index.add(one.record, one.offset);
      }
    }
    return index;
  } finally {
    await file.close();
  }
}

/** What of a segment is alive, in bytes of its records; and how many messages in queues that is. */
export async function aliveIn(
  init: CompactionInit,
  segment: number,
  end: number,
): Promise<{ readonly bytes: number; readonly messages: number }> {
  const { offsets, queueIds, sequences } = await indexOf(init, segment);
  let bytes = 0;
  let messages = 0;
  let counted = -1;
  for (let row = 0; row < offsets.length; row++) {
    if ((row + 1) % ROWS_PER_TURN === 0) await new Promise(setImmediate);
    const offset = offsets.array[row] as number;
    const position = positionOf(segment, offset);
    const found = init.residents.find(queueIds.array[row] as number, sequences.array[row] as number);
    if (found?.position !== position) continue;
    messages++;
    if (offset === counted) continue;
    counted = offset;
    let next = row + 1;
    while (next < offsets.length && offsets.array[next] === offset) next++;
    bytes += (next < offsets.length ? (offsets.array[next] as number) : end) - offset;
  }
  return { bytes, messages };
}
