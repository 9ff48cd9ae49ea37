import { isDeepStrictEqual } from 'node:util';
import type { Message } from '../message/message.js';
import {
  JOURNAL,
  type JournalModel,
  journalOn,
  type Row,
  rowsOf,
} from '../store/journal-model.spec.support.js';
import { UNMARKED } from '../store/random-mark.spec.support.js';
import { positionOf, type RawRecord, readRecord, recordsInside, RECORD_TYPE } from '../store/record.js';
import { segmentNumberOf } from '../store/segment.js';
import { SegmentIndex } from '../store/segment-index.js';
import type { SimulatedFileSystem } from '../store/simulated-file-system.js';
import { repairJournal, type RepairReport } from './repair.js';
import { DIRECTORY, segmentsOf } from './whole-journal.spec.support.js';

/** A record; of a transaction its header, and the records inside each by itself. */
export interface Piece {
  readonly path: string;
  readonly type: number;
  readonly start: number;
  readonly end: number;
  readonly position: number;
}

/** What a whole journal holds, record by record. */
export interface Truth {
  readonly whole: SimulatedFileSystem;
  readonly model: JournalModel;
  readonly pieces: readonly Piece[];
  /** Where moved messages have their bodies, by where their records are. */
  readonly bodies: ReadonlyMap<number, number>;
}

export function truthOf(whole: SimulatedFileSystem, model: JournalModel): Truth {
  const paths = segmentsOf(whole);
  const bodies = new Map<number, number>();
  for (const path of paths) {
    const index = new SegmentIndex();
    for (const { record, at } of recordsIn(whole, path)) index.add(record, at);
    for (const [i, offset] of index.borrowerOffsets.values().entries()) {
      bodies.set(positionOf(numberOf(path), offset), index.bodyPositions.array[i] as number);
    }
  }
  return { whole, model, bodies, pieces: paths.flatMap((path) => piecesOf(whole, path)) };
}

export function numberOf(path: string): number {
  return segmentNumberOf(path.slice(JOURNAL.length + 1)) as number;
}

function* recordsIn(files: SimulatedFileSystem, path: string): Generator<{ record: RawRecord; at: number }> {
  const bytes = files.readNow(path);
  for (let at = 32; at < bytes.length;) {
    const check = readRecord(bytes, at);
    if (!check.ok) throw new Error(`${path}: ${check.why}`);
    const { record } = check;
    yield { record, at };
    at += record.length;
  }
}

function piecesOf(files: SimulatedFileSystem, path: string): Piece[] {
  const pieces: Piece[] = [];
  const add = (type: number, start: number, end: number): void => {
    pieces.push({ path, type, start, end, position: positionOf(numberOf(path), start) });
  };
  for (const { record, at } of recordsIn(files, path)) {
    const { type, length } = record;
    add(type, at, type === RECORD_TYPE.transaction ? at + 12 : at + length);
    if (type !== RECORD_TYPE.transaction) continue;
    for (const { record: one, offset } of recordsInside(record))
      add(one.type, at + offset, at + offset + one.length);
  }
  return pieces;
}

export interface Content extends Row {
  readonly message: Message;
}

/** What the broker finds, by queue and sequence. Throws when a queue is out of order, or a message does not read. */
export async function contents(files: SimulatedFileSystem): Promise<Map<string, Content>> {
  const store = journalOn(files);
  const { entries } = await store.open();
  const found = new Map<string, Content>();
  for (const [queueId, columns] of entries) {
    const rows = rowsOf(columns);
    const messages = await store.read(rows.map(({ position }) => position));
    let previous = 0;
    for (const [i, row] of rows.entries()) {
      const { sequence } = row;
      if (sequence <= previous) throw new Error(`queue ${queueId} is out of order`);
      previous = sequence;
      found.set(`${queueId} ${sequence}`, { ...row, message: messages[i] as Message });
    }
  }
  await store.close();
  return found;
}

export interface Expected {
  /** Positions of records that can't be read. */
  readonly unreadable: ReadonlySet<number>;
  /** No index tells of what was settled by them. */
  readonly mayRise: boolean;
  /** Nor of what is lost. */
  readonly untold?: boolean;
}

/** Everything whose record reads is there, with its body; nothing else is, but what may rise. Returns what is lost. */
export async function assertKept(
  { model, bodies }: Truth,
  files: SimulatedFileSystem,
  { unreadable, mayRise }: Expected,
): Promise<number> {
  const found = await contents(files.afterKill());
  let lost = 0;
  for (const entry of model.entries) {
    const name = `${entry.queueId} ${entry.sequence}`;
    const content = found.get(name);
    found.delete(name);
    const isOwn = !unreadable.has(entry.position);
    const reads = isOwn && !unreadable.has(bodies.get(entry.position) ?? entry.position);
    if (entry.removed !== undefined) {
      if (content !== undefined && !mayRise) throw new Error(`${name} has risen`);
    } else if (content === undefined) {
      if (reads) throw new Error(`${name} reads and is lost`);
      lost++;
    } else {
      const { message } = content;
      if (!message.body.equals(entry.message.body)) throw new Error(`${name} has another body`);
      if (isOwn && message.routingKey !== entry.message.routingKey)
        throw new Error(`${name} has another key`);
      // What a requeue said can be lost.
      const { mark } = model.find(entry.queueId, entry.sequence) ?? {};
      const expected = { ...UNMARKED, ...mark, ...(mayRise && { readyAt: content.mark.readyAt }) };
      if (!isDeepStrictEqual(content.mark, expected)) throw new Error(`${name} has another mark`);
    }
  }
  if (found.size > 0) throw new Error(`invented: ${[...found.keys()].join(', ')}`);
  return lost;
}

/** The original of each file that has other bytes now is in quarantine. */
export function assertQuarantined(before: SimulatedFileSystem, after: SimulatedFileSystem): void {
  const quarantined = after.paths().filter((path) => path.startsWith(`${DIRECTORY}/quarantine-`));
  for (const path of before.paths()) {
    const bytes = before.readNow(path);
    if (after.paths().includes(path) && after.readNow(path).equals(bytes)) continue;
    const name = path.slice(JOURNAL.length);
    const kept = quarantined
      .filter((one) => one.endsWith(name))
      .some((one) => after.readNow(one).equals(bytes));
    if (!kept) throw new Error(`the original of ${path} is not in quarantine`);
  }
}

/** Repairs, and throws unless all is kept that can be, the originals too, and there is nothing left to repair. */
export async function repaired(
  truth: Truth,
  files: SimulatedFileSystem,
  expected: Expected,
): Promise<{ report: RepairReport; lost: number }> {
  const before = files.afterKill();
  const report = await repairJournal(files, DIRECTORY);
  if (report.outcome !== 'repaired') throw new Error(`nothing was repaired: ${report.outcome}`);
  assertQuarantined(before, files);
  const lost = await assertKept(truth, files, expected);
  const told = report.lost.reduce((sum, { messages }) => sum + messages, 0);
  if (told !== lost && !expected.mayRise && expected.untold !== true)
    throw new Error(`${lost} are lost, ${told} are told`);
  const again = await repairJournal(files, DIRECTORY);
  if (again.outcome !== 'sound') throw new Error('it has to be repaired again');
  return { report, lost };
}

/** Positions of the pieces of a file that reach into a range. */
export function within({ pieces }: Pick<Truth, 'pieces'>, path: string, from: number, to: number): number[] {
  return pieces
    .filter((piece) => piece.path === path && piece.end > from && piece.start < to)
    .map(({ position }) => position);
}
