import { BrokerError } from '../errors.js';
import { readSnapshot, type Snapshot } from '../store/definition-snapshot.js';
import type { File } from '../store/file-system.js';
import { decodeIndex, encodeIndex, indexedSegmentOf, readIndexBytes } from '../store/index-file.js';
import { offsetOf, positionOf, segmentOf } from '../store/record.js';
import { provesDurable } from '../store/recovery.js';
import {
  decodeSegmentHeader,
  type ReadSegmentHeader,
  SEGMENT_HEADER_BYTES,
  segmentFileName,
  segmentNumberOf,
} from '../store/segment.js';
import { SegmentIndex } from '../store/segment-index.js';
import type { JournalView } from './journal-view.js';
import type { ToolOptions } from './progress.js';
import { type SegmentContents, surveySegment } from './segment-survey.js';

/** `none`: the segment is written to. `stale`: not of this segment, or damaged. `wrong`: it says what the records do not. */
export type IndexState = 'sound' | 'missing' | 'stale' | 'wrong' | 'none';

export interface SurveyedSegment extends SegmentContents {
  readonly number: number;
  readonly name: string;
  /** Undefined when there is no file. */
  readonly fileBytes: number | undefined;
  readonly header: ReadSegmentHeader | undefined;
  /** What is wrong with the header, or with there being none. */
  readonly headerProblem: string | undefined;
  /** The bytes of a sealed segment, as the next one or its index tells; undefined when none does. */
  readonly sealedEnd: number | undefined;
  readonly indexState: IndexState;
  readonly hasIndexFile: boolean;
  /** What the index file says of the segment as it was, when it can be believed. */
  readonly stored: SegmentIndex | undefined;
}

export interface Survey {
  readonly directory: string;
  readonly view: JournalView;
  /** Oldest first, without gaps; those that are missing have no file. */
  readonly segments: readonly SurveyedSegment[];
  /** Missing, and older than any that is there. */
  readonly missingFirst: readonly number[];
  /** A last segment that was being made when the process ended. It holds nothing. */
  readonly unfinished: string | undefined;
  /** Durable bytes after the end of the last segment that are gone. */
  readonly lostEndBytes: number;
  readonly snapshot: Snapshot;
  readonly snapshotProblem: string | undefined;
}

/** What is in a segment file's first bytes. */
interface Head {
  readonly number: number;
  readonly fileBytes: number | undefined;
  readonly header: ReadSegmentHeader | undefined;
  readonly problem: string | undefined;
  /** The file is another segment's. */
  readonly isForeign: boolean;
}

/**
 * Reads every record of a journal, and what is beside the segments. Rejects with JOURNAL_VERSION when something was
 * written by a newer release: that is never damage.
 */
export async function surveyJournal(
  directory: string,
  view: JournalView,
  { onProgress }: ToolOptions = {},
): Promise<Survey> {
  const { snapshot, snapshotProblem } = await surveySnapshot(view);
  const { heads, missingFirst, unfinished } = await surveyHeads(view);
  const segments: SurveyedSegment[] = [];
  let after = 0;
  let bytesBefore = 0;
  for (const [i, head] of heads.entries()) {
    const done = bytesBefore;
    const segment = await surveyOne(view, head, heads[i + 1], after, (bytes) =>
      onProgress?.({
        doing: `reading ${segmentFileName(head.number)}`,
        bytesDone: done + bytes,
        bytesTotal: view.bytes,
      }),
    );
    segments.push(segment);
    after = Math.max(after, (segment.stored ?? segment.index).lastSequence, segment.index.lastSequence);
    bytesBefore += head.fileBytes ?? 0;
  }
  const last = segments.at(-1);
  const { position } = view.marked;
  const isShort = last !== undefined && segmentOf(position) === last.number;
  return {
    directory,
    view,
    segments,
    missingFirst,
    unfinished,
    lostEndBytes: isShort ? Math.max(0, offsetOf(position) - last.end) : 0,
    snapshot,
    snapshotProblem,
  };
}

async function surveySnapshot(view: JournalView): Promise<Pick<Survey, 'snapshot' | 'snapshotProblem'>> {
  try {
    return { snapshot: await readSnapshot(view, view.directory), snapshotProblem: undefined };
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'JOURNAL_DAMAGED') throw error;
    const why = / is damaged: (.*?)\. /.exec(error.message)?.[1] ?? error.message;
    return { snapshot: { through: 0, definitions: new Map() }, snapshotProblem: why };
  }
}

// ---------------------------------------------------------------- which segments there are

async function surveyHeads(
  view: JournalView,
): Promise<{ heads: Head[]; missingFirst: number[]; unfinished: string | undefined }> {
  const { position, firstSegment } = view.marked;
  const found = new Map<number, Head>();
  for (const name of await view.list()) {
    const number = segmentNumberOf(name) as number;
    found.set(number, await headOf(view, name, number));
  }
  const numbers = [...found.keys()].toSorted((a, b) => a - b);
  let unfinished: string | undefined;
  const newest = found.get(numbers.at(-1) ?? 0);
  if (newest?.problem !== undefined && (await isUnfinished(view, newest))) {
    numbers.pop();
    unfinished = segmentFileName(newest.number);
  }
  const lastMarked = position > 0 ? segmentOf(position) : 0;
  const first = numbers[0] ?? lastMarked;
  const last = Math.max(numbers.at(-1) ?? 0, lastMarked);
  const heads = span(first, last).map((number) => found.get(number) ?? missing(number));
  return { heads, missingFirst: firstSegment > 0 ? span(firstSegment, first - 1) : [], unfinished };
}

/** Both ends included; none for a last of 0. */
function span(first: number, last: number): number[] {
  return last === 0 ? [] : Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

function missing(number: number): Head {
  return { number, fileBytes: undefined, header: undefined, problem: 'it is missing', isForeign: false };
}

async function headOf(view: JournalView, name: string, number: number): Promise<Head> {
  const path = `${view.directory}/${name}`;
  const file = await view.open(path, 'read');
  const fileBytes = await file.size();
  const head = Buffer.alloc(Math.min(SEGMENT_HEADER_BYTES, fileBytes));
  await file.read(head, 0);
  const header = decodeSegmentHeader(head, path);
  if (typeof header === 'string') return { ...missing(number), fileBytes, problem: header };
  if (header.number === number) return { number, fileBytes, header, problem: undefined, isForeign: false };
  const problem = `its header says it is segment ${header.number}`;
  return { ...missing(number), fileBytes, problem, isForeign: true };
}

/** As recovery sees it. */
async function isUnfinished(view: JournalView, { number, fileBytes = 0 }: Head): Promise<boolean> {
  if (positionOf(number, 0) < view.marked.position) return false;
  const file = await view.open(`${view.directory}/${segmentFileName(number)}`, 'read');
  const bytes = Buffer.allocUnsafe(fileBytes);
  return !provesDurable(bytes.subarray(0, await file.read(bytes, 0)), {
    segment: number,
    offset: 0,
    key: undefined,
  });
}

// ---------------------------------------------------------------- what is in one

async function surveyOne(
  view: JournalView,
  head: Head,
  next: Head | undefined,
  after: number,
  onRead: (bytesDone: number) => void,
): Promise<SurveyedSegment> {
  const { number, fileBytes, header } = head;
  const name = segmentFileName(number);
  const path = `${view.directory}/${name}`;
  const indexBytes = await readIndexBytes(view, view.directory, number);
  const sealedEnd = next === undefined ? undefined : endOf(head, next, indexBytes);
  const stored = storedIndex(indexBytes, head, sealedEnd);
  const to = Math.min(sealedEnd ?? Infinity, head.isForeign ? 0 : (fileBytes ?? 0));
  const surveyed = {
    path,
    file: fileBytes === undefined ? (undefined as unknown as File) : await view.open(path, 'read'),
    surroundings: {
      segment: number,
      key: header?.key,
      after,
      below: next?.header?.firstSequence ?? Infinity,
    },
    to,
    durableUpTo: next === undefined ? view.marked.position : undefined,
    onRead,
  };
  let contents = await surveySegment({ ...surveyed, stored });
  let believed = stored;
  if (stored !== undefined && !includes(stored, contents.index)) {
    believed = undefined;
    if (contents.damage.length > 0) contents = await surveySegment({ ...surveyed, stored: undefined });
  }
  const { damage, end } = filled(contents, sealedEnd, head);
  const whole = damage.length === 0 && head.problem === undefined;
  return {
    ...contents,
    damage,
    end,
    number,
    name,
    fileBytes,
    header,
    headerProblem: head.problem,
    sealedEnd,
    hasIndexFile: indexBytes !== undefined,
    indexState: indexState(indexBytes, stored, contents.index, { isLast: next === undefined, whole }),
    stored: believed,
  };
}

function endOf({ header }: Head, next: Head, indexBytes: Buffer | undefined): number | undefined {
  if (next.header !== undefined) return next.header.previousEnd;
  if (indexBytes === undefined) return undefined;
  const of = indexedSegmentOf(indexBytes);
  const isOwn =
    decodeIndex(indexBytes, of) !== undefined && (header === undefined || header.checksum === of.id);
  return isOwn ? of.end : undefined;
}

/** Of a segment whose header is gone, the index need not know which it was. */
function storedIndex(
  bytes: Buffer | undefined,
  { header }: Head,
  end: number | undefined,
): SegmentIndex | undefined {
  if (bytes === undefined || end === undefined) return undefined;
  return decodeIndex(bytes, { id: header?.checksum ?? indexedSegmentOf(bytes).id, end });
}

/** Whether the index knows all that was read. */
function includes(stored: SegmentIndex, read: SegmentIndex): boolean {
  let row = 0;
  for (let i = 0; i < read.sequences.length; i++) {
    const offset = read.offsets.array[i] as number;
    const is = (): boolean =>
      stored.offsets.array[row] === offset &&
      stored.sequences.array[row] === read.sequences.array[i] &&
      stored.queueIds.array[row] === read.queueIds.array[i];
    while (row < stored.sequences.length && !is()) row++;
    if (row === stored.sequences.length) return false;
    row++;
  }
  return true;
}

/** A sealed segment goes on to where it ended, whatever is left of it. */
function filled(
  { damage, end }: SegmentContents,
  sealedEnd: number | undefined,
  { fileBytes, isForeign, problem }: Head,
): Pick<SegmentContents, 'damage' | 'end'> {
  if (sealedEnd === undefined || end >= sealedEnd) return { damage, end };
  const last = damage.at(-1);
  const reachesEnd = last?.to === end;
  const short = `the file has ${fileBytes} of ${sealedEnd} bytes`;
  const why = fileBytes === undefined || isForeign ? (problem ?? short) : short;
  const range = reachesEnd ? { ...last, to: sealedEnd } : { from: end, to: sealedEnd, why };
  return { damage: [...(reachesEnd ? damage.slice(0, -1) : damage), range], end: sealedEnd };
}

function indexState(
  bytes: Buffer | undefined,
  stored: SegmentIndex | undefined,
  read: SegmentIndex,
  { isLast, whole }: { readonly isLast: boolean; readonly whole: boolean },
): IndexState {
  if (isLast) return 'none';
  if (bytes === undefined) return 'missing';
  if (stored === undefined) return 'stale';
  const of = indexedSegmentOf(bytes);
  const same = whole ? encodeIndex(read, of).equals(bytes) : includes(stored, read);
  return same ? 'sound' : 'wrong';
}
