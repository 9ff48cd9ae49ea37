import { BrokerError, messageOf } from '../errors.js';
import { readSnapshot } from './definition-snapshot.js';
import type { Marked } from './durable-mark.js';
import type { File, FileSystem } from './file-system.js';
import { type IndexedSegment, readIndexFile } from './index-file.js';
import type { StoredEntries } from './message-store.js';
import { PLANTED } from './planted.js';
import {
  COMMIT_RECORD_BYTES,
  type Position,
  positionOf,
  readCommit,
  readRecord,
  RECORD_TYPE,
  segmentOf,
} from './record.js';
import { RecoveredQueues } from './recovered-queues.js';
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  SEGMENT_HEADER_BYTES,
  type ReadSegmentHeader,
  segmentFileName,
  segmentNumberOf,
} from './segment.js';
import { SegmentIndex, UnknownRecordError } from './segment-index.js';
import { scanSegment } from './segment-scan.js';

export interface RecoveredSegment {
  readonly number: number;
  /** Bytes that read well, the header included. */
  readonly bytes: number;
  /** Bytes in the file; more than `bytes` when the tail is torn. */
  readonly fileBytes: number;
  readonly lastDefinitionSequence: number;
  /** Messages that its records put into queues, settled or not. */
  readonly messages: number;
  /** Segments that hold bodies of messages which were moved, and whose records are here. */
  readonly borrowedFrom: ReadonlySet<number>;
}

export interface RecoveredJournal {
  readonly segments: RecoveredSegment[];
  /** Of the last segment, which is written on; undefined when there is none. */
  readonly lastIndex: SegmentIndex | undefined;
  readonly lastHeader: ReadSegmentHeader | undefined;
  /** Up to here the last segment says of itself, or the mark says, that it was on the disk. */
  readonly provenUpTo: Position;
  readonly entries: Map<number, StoredEntries>;
  readonly definitions: Map<string, unknown>;
  /** The snapshot of definitions reaches up to this sequence. */
  readonly snapshotThrough: number;
  readonly nextSequence: number;
}

interface Source {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  /** Up to here everything was durable, as far as the mark tells. */
  readonly durableUpTo: Position;
}

interface FoundSegment {
  readonly number: number;
  readonly path: string;
  readonly fileBytes: number;
  readonly header: ReadSegmentHeader;
}

/**
 * Reads a journal directory and changes nothing in it (J3, J4, J9). Who wants to keep an index that had to be made anew
 * is given it.
 *
 * Of sealed segments only the index is read. The last segment may end in a torn tail, which is left out. A record
 * that does not read is such a tail only if nothing says that it was durable: not the mark, not a later commit record.
 * Anywhere else it is damage, and the promise rejects with JOURNAL_DAMAGED.
 */
export async function recoverJournal(
  fileSystem: FileSystem,
  directory: string,
  marked: Marked,
  onIndexMade?: (number: number, index: SegmentIndex, of: IndexedSegment) => Promise<void>,
): Promise<RecoveredJournal> {
  const source = { fileSystem, directory, durableUpTo: marked.position };
  const snapshot = await readSnapshot(fileSystem, directory);
  const definitions = new Map(snapshot.definitions);
  const queues = new RecoveredQueues();
  const segments: RecoveredSegment[] = [];
  const found = await findSegments(source, marked);
  let nextSequence = snapshot.through + 1;
  let lastIndex: SegmentIndex | undefined;
  let provenUpTo = marked.position;
  for (const [i, segment] of found.entries()) {
    const next = found[i + 1];
    let bytes = segment.fileBytes;
    let index = next === undefined ? undefined : await sealedIndex(source, segment, next.header);
    if (index === undefined) {
      const read = await scanned(source, segment, next === undefined);
      ({ index, bytes } = read);
      provenUpTo = Math.max(provenUpTo, read.provenUpTo);
      const of = { id: segment.header.checksum, end: bytes };
      if (next !== undefined) await onIndexMade?.(segment.number, index, of);
    }
    queues.add(segment.number, index);
    define(definitions, snapshot.through, index);
    nextSequence = Math.max(nextSequence, segment.header.firstSequence, index.lastSequence + 1);
    segments.push(summaryOf(segment, bytes, index));
    lastIndex = index;
  }
  return {
    segments,
    lastIndex,
    lastHeader: found.at(-1)?.header,
    provenUpTo,
    entries: queues.finish(),
    definitions,
    snapshotThrough: snapshot.through,
    nextSequence,
  };
}

function summaryOf(segment: FoundSegment, bytes: number, index: SegmentIndex): RecoveredSegment {
  return {
    number: segment.number,
    bytes,
    fileBytes: segment.fileBytes,
    lastDefinitionSequence: index.lastDefinitionSequence,
    messages: index.messages,
    borrowedFrom: new Set([...index.bodyPositions.values()].map(segmentOf)),
  };
}

/** Brings the definitions forward by what a segment says, the segments given oldest first. */
export function define(
  definitions: Map<string, unknown>,
  snapshotThrough: number,
  index: SegmentIndex,
): void {
  for (const { sequence, key, value } of index.definitions) {
    if (sequence <= snapshotThrough) continue;
    if (value === null) definitions.delete(key);
    else definitions.set(key, value);
  }
}

// ---------------------------------------------------------------- which segments there are

async function findSegments(source: Source, marked: Marked): Promise<FoundSegment[]> {
  const numbers = await segmentNumbers(source, marked);
  const found: FoundSegment[] = [];
  for (const number of numbers) {
    const path = `${source.directory}/${segmentFileName(number)}`;
    const segment = await withFile(source.fileSystem, path, async (file) => {
      const fileBytes = await file.size();
      const head = Buffer.alloc(Math.min(SEGMENT_HEADER_BYTES, fileBytes));
      await file.read(head, 0);
      return { head, fileBytes };
    });
    const header = decodeSegmentHeader(segment.head, path);
    if (typeof header === 'string') {
      // A last segment that was being made when the process ended holds nothing.
      const isLast = number === numbers.at(-1);
      if (!isLast || positionOf(number, 0) < source.durableUpTo) throw damaged(path, 0, header);
      if (await holdsCommit(source, path, number)) throw damaged(path, 0, header);
      continue;
    }
    if (header.number !== number) throw damaged(path, 0, `its header says it is segment ${header.number}`);
    found.push({ number, path, fileBytes: segment.fileBytes, header });
  }
  return found;
}

async function segmentNumbers(
  { fileSystem, directory, durableUpTo }: Source,
  { firstSegment }: Marked,
): Promise<number[]> {
  const numbers = (await fileSystem.list(directory))
    .map(segmentNumberOf)
    // What is done with may still have its name, in part: it was being removed.
    .filter((number): number is number => number !== undefined && number >= firstSegment)
    .toSorted((a, b) => a - b);
  const first = numbers[0] ?? 0;
  const last = numbers.at(-1) ?? 0;
  if (first > firstSegment && firstSegment > 0) throw missing(directory, firstSegment);
  for (const [i, number] of numbers.entries()) {
    if (number !== first + i) throw missing(directory, first + i);
  }
  if (durableUpTo > 0 && segmentOf(durableUpTo) > last) throw missing(directory, segmentOf(durableUpTo));
  return numbers;
}

async function withFile<R>(
  fileSystem: FileSystem,
  path: string,
  use: (file: File) => Promise<R>,
): Promise<R> {
  const file = await fileSystem.open(path, 'read');
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

// ---------------------------------------------------------------- what is in a segment

/** The index of a sealed segment, from its file; undefined when that can't be used. */
async function sealedIndex(
  { fileSystem, directory }: Source,
  { number, path, fileBytes, header }: FoundSegment,
  next: ReadSegmentHeader,
): Promise<SegmentIndex | undefined> {
  if (fileBytes !== next.previousEnd) {
    throw damaged(
      path,
      Math.min(fileBytes, next.previousEnd),
      `it has ${fileBytes} bytes, but had ${next.previousEnd} when the next segment was made`,
    );
  }
  return readIndexFile(fileSystem, directory, number, { id: header.checksum, end: fileBytes });
}

/** Reads all records of a segment; up to a torn tail, if it is the last. */
async function scanned(
  source: Source,
  segment: FoundSegment,
  isLast: boolean,
): Promise<{ index: SegmentIndex; bytes: number; provenUpTo: Position }> {
  const { path, number, fileBytes } = segment;
  const index = new SegmentIndex();
  let provenUpTo = 0;
  let bytes = SEGMENT_HEADER_BYTES;
  await withFile(source.fileSystem, path, async (file) => {
    for await (const part of scanSegment(file, { to: fileBytes })) {
      for (const one of part) {
        if (!one.ok) {
          await refuseUnlessTorn(source, segment, { ...one, isLast, file });
          if (PLANTED.tornTailKept) bytes = fileBytes;
          return;
        }
        const { type, payload } = one.record;
        if (type === RECORD_TYPE.commit) provenUpTo = readCommit(payload).durableUpTo;
        else addTo(index, one, path);
        bytes = one.offset + one.record.length;
      }
    }
  });
  if (isLast && positionOf(number, bytes) < source.durableUpTo) {
    const durable = source.durableUpTo - positionOf(number, 0);
    throw damaged(path, bytes, `it ends here, but was durable up to offset ${durable}`);
  }
  return { index, bytes, provenUpTo };
}

/** Adds a record to the index. Throws, as BrokerError, for one that this release does not know or can't read. */
export function addTo(
  index: SegmentIndex,
  { record, offset }: { readonly record: Parameters<SegmentIndex['add']>[0]; readonly offset: number },
  path: string,
): void {
  try {
    index.add(record, offset);
  } catch (error) {
    // The checksum was right, so the bytes are as written: what is wrong is the writer.
    if (!(error instanceof UnknownRecordError)) {
      throw damaged(path, offset, `a record can't be read (${messageOf(error)})`);
    }
    throw new BrokerError(
      'JOURNAL_VERSION',
      `${path} holds a record of the unknown type ${error.type} at offset ${offset}, which format version ${FORMAT_VERSION} does not have.`,
      { severity: 'broker', cure: 'Use the release of nestmq that wrote it; nothing was changed.' },
    );
  }
}

async function refuseUnlessTorn(
  source: Source,
  { path, number, fileBytes, header }: FoundSegment,
  bad: { readonly offset: number; readonly why: string; readonly isLast: boolean; readonly file: File },
): Promise<void> {
  const position = positionOf(number, bad.offset);
  if (bad.isLast && source.durableUpTo <= position) {
    const rest = Buffer.allocUnsafe(fileBytes - bad.offset);
    const count = await bad.file.read(rest, bad.offset);
    const place = { segment: number, offset: bad.offset, key: header.key };
    if (!provesDurable(rest.subarray(0, count), place)) return;
  }
  throw damaged(path, bad.offset, bad.why);
}

/** Where bytes of a segment lie. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  /** The segment's; undefined when its header does not read. */
  readonly key: number | undefined;
}

/** Whether a commit among these bytes was written when what starts at their place was durable. */
export function provesDurable(rest: Buffer, { segment, offset, key }: Place): boolean {
  for (let at = 1; at + COMMIT_RECORD_BYTES <= rest.length; at++) {
    if (rest[at + 8] !== RECORD_TYPE.commit || rest.readUInt32BE(at) !== COMMIT_RECORD_BYTES) continue;
    const check = readRecord(rest, at);
    if (!check.ok) continue;
    const commit = readCommit(check.record.payload);
    const isOwn = commit.position === positionOf(segment, offset + at) && isKeyOf(commit, key);
    if (isOwn && commit.durableUpTo > positionOf(segment, offset)) return true;
  }
  return false;
}

/** Without the header any key will do: then no stranger's bytes were written into the segment yet, or it is damaged. */
export function isKeyOf(commit: { readonly key: number }, key: number | undefined): boolean {
  return key === undefined || commit.key === key;
}

/** Whether a segment without a readable header has a commit: then the header was there, and was durable. */
function holdsCommit({ fileSystem }: Source, path: string, number: number): Promise<boolean> {
  return withFile(fileSystem, path, async (file) => {
    const bytes = Buffer.allocUnsafe(await file.size());
    const count = await file.read(bytes, 0);
    return provesDurable(bytes.subarray(0, count), { segment: number, offset: 0, key: undefined });
  });
}

// ---------------------------------------------------------------- refusing

const CURE =
  'Nothing was changed. `nestmq check` tells more, `nestmq repair` keeps what can be read; or restore the directory from a backup.';

function missing(directory: string, number: number): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `${directory}/${segmentFileName(number)} is missing.`, {
    severity: 'broker',
    cure: `Put the file back. ${CURE}`,
  });
}

function damaged(path: string, offset: number, why: string): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `${path} is damaged at offset ${offset}: ${why}.`, {
    severity: 'broker',
    cure: CURE,
  });
}
