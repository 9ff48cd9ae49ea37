import { crc32 } from 'node:zlib';
import { systemCodeOf } from '../errors.js';
import { NumberColumn, Uint32Column } from './columns.js';
import type { FileSystem } from './file-system.js';
import { PLANTED } from './planted.js';
import type { DiscardRecord } from './record.js';
import { FORMAT_VERSION } from './segment.js';
import { SegmentIndex } from './segment-index.js';

/**
 * The file of a segment's index. Words are in the byte order of the machine that wrote it, so that columns are read as
 * they lie; another machine sees a magic number that is none, and makes the index anew.
 *
 *     0       4         8     12             16                 24
 *     +-------+---------+-----+--------------+------------------+---------------------- … --+--------+
 *     | magic | version | end | segment's id | rest's byte count| 8 lengths, then columns …  | CRC-32 |
 *     +-------+---------+-----+--------------+------------------+---------------------- … --+--------+
 *
 * It is a picture of the segment, never the truth: it is used only when its checksum is right and it was made for this
 * very segment, with this very end; else it is made anew from the records.
 */
const MAGIC = 0x4e_4d_51_58; // NMQX
const HEADER_BYTES = 24;
const COUNTS = 8;

/** What an index must have been made for. */
export interface IndexedSegment {
  /** The checksum in the segment's header: differs for each that was ever made with other contents before it. */
  readonly id: number;
  /** Bytes of the segment file. */
  readonly end: number;
}

export function indexFileName(number: number): string {
  return `${String(number).padStart(10, '0')}.index`;
}

/** The number of the segment whose index has this file name, or undefined. */
export function indexNumberOf(fileName: string): number | undefined {
  const match = /^(\d{10})\.index$/.exec(fileName);
  return match === null ? undefined : Number(match[1]);
}

/** Columns of 8 bytes, in the order of the file. */
function doublesOf(index: SegmentIndex): NumberColumn[] {
  return [
    index.sequences,
    index.settledSequences,
    index.countedSequences,
    index.bodyPositions,
    index.expiresAt,
    index.readyAt,
    index.delayedUntil,
  ];
}

/** Columns of 4 bytes, which follow. */
function wordsOf(index: SegmentIndex): Uint32Column[] {
  return [
    index.offsets,
    index.queueIds,
    index.settledQueueIds,
    index.countedQueueIds,
    index.counts,
    index.borrowerOffsets,
    index.markedRows,
    index.priorities,
    index.delayedRows,
  ];
}

function markColumnsOf(index: SegmentIndex): (NumberColumn | Uint32Column)[] {
  return [index.markedRows, index.expiresAt, index.readyAt, index.priorities];
}

export function encodeIndex(index: SegmentIndex, { id, end }: IndexedSegment): Buffer {
  if (PLANTED.indexWithoutMarks) for (const column of markColumnsOf(index)) column.length = 0;
  const texts = Buffer.from(
    JSON.stringify([index.discards, index.definitions.map((one) => [one.sequence, one.key, one.value])]),
  );
  const doubles = doublesOf(index);
  const words = wordsOf(index);
  const bytes =
    HEADER_BYTES +
    COUNTS * 8 +
    doubles.reduce((sum, column) => sum + column.length * 8, 0) +
    words.reduce((sum, column) => sum + column.length * 4, 0) +
    texts.length +
    4;
  const out = new Uint8Array(bytes);
  new Uint32Array(out.buffer, 0, 4).set([MAGIC, FORMAT_VERSION, end, id]);
  new Float64Array(out.buffer, 16, 1 + COUNTS).set([
    bytes,
    index.sequences.length,
    index.settledSequences.length,
    index.countedSequences.length,
    index.bodyPositions.length,
    texts.length,
    index.lastSequence,
    index.markedRows.length,
    index.delayedRows.length,
  ]);
  let at = HEADER_BYTES + COUNTS * 8;
  for (const column of doubles) {
    new Float64Array(out.buffer, at, column.length).set(column.values());
    at += column.length * 8;
  }
  for (const column of words) {
    new Uint32Array(out.buffer, at, column.length).set(column.values());
    at += column.length * 4;
  }
  out.set(texts, at);
  const file = Buffer.from(out.buffer);
  file.writeUInt32LE(crc32(file.subarray(0, bytes - 4)), bytes - 4);
  return file;
}

/** Returns undefined when the bytes are not the index of this segment, whole and as written. */
export function decodeIndex(file: Buffer, { id, end }: IndexedSegment): SegmentIndex | undefined {
  const bytes = file.length;
  if (bytes < HEADER_BYTES + COUNTS * 8 + 4) return undefined;
  const sound = crc32(file.subarray(0, bytes - 4)) === file.readUInt32LE(bytes - 4);
  if (!sound && !PLANTED.indexChecksumIgnored) return undefined;
  // Columns need their own alignment.
  const buffer = new Uint8Array(file).buffer;
  const [magic, version, forEnd, forId] = new Uint32Array(buffer, 0, 4);
  if (magic !== MAGIC || version !== FORMAT_VERSION) return undefined;
  if ((forEnd !== end || forId !== id) && !PLANTED.staleIndexTrusted) return undefined;
  const numbers = new Float64Array(buffer, 16, 1 + COUNTS);
  if (numbers[0] !== bytes) return undefined;
  return columnsOf(buffer, [...numbers.subarray(1)]);
}

function columnsOf(buffer: ArrayBuffer, numbers: readonly number[]): SegmentIndex {
  const [entries = 0, settled = 0, counted = 0, moved = 0, textBytes = 0, lastSequence = 0] = numbers;
  const [marked = 0, delayed = 0] = numbers.slice(6);
  const index = new SegmentIndex();
  const doubles = [entries, settled, counted, moved, marked, marked, delayed];
  const words = [entries, entries, settled, counted, counted, moved, marked, marked, delayed];
  let at = HEADER_BYTES + COUNTS * 8;
  for (const [i, column] of doublesOf(index).entries()) {
    column.length = doubles[i] as number;
    column.array = new Float64Array(buffer, at, column.length);
    at += column.length * 8;
  }
  for (const [i, column] of wordsOf(index).entries()) {
    column.length = words[i] as number;
    column.array = new Uint32Array(buffer, at, column.length);
    at += column.length * 4;
  }
  const [discards, definitions] = JSON.parse(Buffer.from(buffer, at, textBytes).toString('utf8')) as [
    DiscardRecord[],
    [number, string, unknown][],
  ];
  index.discards.push(...discards);
  for (const [sequence, key, value] of definitions) index.define({ sequence, key, value });
  index.lastSequence = Math.max(index.lastSequence, lastSequence);
  return index;
}

/** Writes the index beside its segment, over what may be left there. Not synced: a torn one is noticed, and made anew. */
export async function writeIndexFile(
  fileSystem: FileSystem,
  directory: string,
  {
    number,
    index,
    of,
  }: { readonly number: number; readonly index: SegmentIndex; readonly of: IndexedSegment },
): Promise<void> {
  const path = `${directory}/${indexFileName(number)}`;
  await removeIfThere(fileSystem, path);
  const file = await fileSystem.open(path, 'create');
  try {
    await file.write(encodeIndex(index, of), 0);
  } finally {
    await file.close();
  }
}

/** Which segment the bytes say they are the index of. Whether they are one at all, {@link decodeIndex} tells. */
export function indexedSegmentOf(file: Buffer): IndexedSegment {
  if (file.length < HEADER_BYTES) return { id: 0, end: 0 };
  const [, , end = 0, id = 0] = new Uint32Array(new Uint8Array(file.subarray(0, HEADER_BYTES)).buffer, 0, 4);
  return { id, end };
}

/** Returns undefined when there is none that can be used. */
export async function readIndexFile(
  fileSystem: FileSystem,
  directory: string,
  number: number,
  of: IndexedSegment,
): Promise<SegmentIndex | undefined> {
  const bytes = await readIndexBytes(fileSystem, directory, number);
  return bytes === undefined ? undefined : decodeIndex(bytes, of);
}

/** Returns undefined when there is no such file. */
export async function readIndexBytes(
  fileSystem: FileSystem,
  directory: string,
  number: number,
): Promise<Buffer | undefined> {
  try {
    const file = await fileSystem.open(`${directory}/${indexFileName(number)}`, 'read');
    try {
      const bytes = Buffer.allocUnsafe(await file.size());
      const count = await file.read(bytes, 0);
      return bytes.subarray(0, count);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function removeIfThere(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.remove(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
