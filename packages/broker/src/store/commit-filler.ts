import type { Clock, Timer } from '../clock.js';
import { ByteWriter } from '../message/table-codec.js';
import { Commit } from './commit.js';
import type { CommitWriter } from './commit-writer.js';
import type { DurableCallback } from './message-store.js';
import { offsetOf, type Position, positionOf } from './record.js';
import { SEGMENT_HEADER_BYTES } from './segment.js';
import { SegmentIndex } from './segment-index.js';
import type { SegmentState, SegmentTable } from './segment-table.js';

export interface CommitFillerInit {
  readonly clock: Clock;
  /** A segment closes when its next commit would exceed this. Bytes. */
  readonly segmentBytesMax: number;
  /** How long settlements wait for a publish to share a commit with. Milliseconds. */
  readonly settlementDelayMs: number;
  readonly table: SegmentTable;
  readonly writer: CommitWriter;
  /** Nothing is handed to the writer now. */
  readonly isFailed: () => boolean;
}

/** So much is written at once, without waiting for more, while the disk has room. Bytes. */
const WORTH_WRITING_BYTES = 64 * 1024;
/** A commit that has grown to this is closed: the disk gains nothing from larger ones. Bytes. */
const COMMIT_BYTES_MAX = 1024 * 1024;
/**
 * Of a commit that is one of many: when it is full it mostly fits. A buffer that grows is copied at each step, and what it
 * was is garbage. Bytes.
 */
const BUFFER_BYTES = COMMIT_BYTES_MAX + WORTH_WRITING_BYTES;
/** Of all that is under way so much goes into one commit: two are on their way to the disk while the third fills. */
const COMMIT_SHARE = 1 / 3;
/** A buffer that one large commit made larger than this is not kept for the next. Bytes. */
const BUFFER_KEPT_BYTES_MAX = 2 * COMMIT_BYTES_MAX;
/**
 * A burst may need many; so many serve what comes after it. One connection alone fills eight while it waits for the disk,
 * and what is not kept is garbage that the next has to make anew.
 */
const BUFFERS_KEPT_MAX = 12;

/** Fills commits with records, rolls from segment to segment, and decides when a commit goes to the writer. */
export class CommitFiller {
  readonly #init: CommitFillerInit;
  /** Of segments that have no index on the disk yet. */
  readonly #indexes = new Map<number, SegmentIndex>();
  readonly #spareBuffers: ByteWriter[] = [];
  #open!: Commit;
  #index!: SegmentIndex;
  #segment!: SegmentState;
  #writeScheduled: NodeJS.Immediate | undefined;
  #settlementTimer: Timer | undefined;

  constructor(init: CommitFillerInit) {
    this.#init = init;
  }

  /** Goes on at `position`; `index` is what its segment has so far. */
  begin(position: Position, segment: number, index: SegmentIndex | undefined): void {
    if (index !== undefined) this.#indexes.set(segment, index);
    this.#open = this.#newCommit(segment, offsetOf(position));
  }

  /** The open commit. */
  get open(): Commit {
    return this.#open;
  }

  /** Of the open commit's segment. */
  get index(): SegmentIndex {
    return this.#index;
  }

  /** The segment that is filled. */
  get segment(): SegmentState {
    return this.#segment;
  }

  /** Of a segment that has no index on the disk yet. */
  indexOf(segment: number): SegmentIndex | undefined {
    return this.#indexes.get(segment);
  }

  forgetIndex(segment: number): void {
    this.#indexes.delete(segment);
  }

  /** Writes one record into the open commit, whole or not at all, and returns its position: in the open segment. */
  append(write: (out: ByteWriter) => void): Position {
    const { out, start: commitStart, segment } = this.#open;
    const opensSegment = commitStart === SEGMENT_HEADER_BYTES && this.#open.hasNoRecords;
    const start = out.end;
    try {
      write(out);
    } catch (error) {
      out.end = start;
      throw error;
    }
    const overflow = commitStart + out.end > this.#init.segmentBytesMax;
    if (!overflow || opensSegment) return positionOf(segment, commitStart + start);
    // The record opens the next segment instead.
    const record = Buffer.from(out.buffer.subarray(start, out.end));
    out.end = start;
    this.close(true);
    const at = this.#open.out.end;
    this.#open.out.bytes(record);
    return positionOf(this.#open.segment, SEGMENT_HEADER_BYTES + at);
  }

  #newCommit(segment: number, start: number): Commit {
    const { table, writer } = this.#init;
    if (!table.has(segment)) {
      table.add({ number: segment, messages: 0, bytes: start, lastDefinitionSequence: 0 });
    }
    if (!this.#indexes.has(segment)) this.#indexes.set(segment, new SegmentIndex());
    this.#index = this.#indexes.get(segment) as SegmentIndex;
    this.#segment = table.get(segment);
    const bytes = writer.pendingBytes === 0 ? WORTH_WRITING_BYTES : BUFFER_BYTES;
    return new Commit(segment, start, this.#spareBuffers.pop() ?? new ByteWriter(bytes));
  }

  /** The buffer of a commit that is done with is used again. */
  recycle({ out }: Commit): void {
    if (out.buffer.length > BUFFER_KEPT_BYTES_MAX || this.#spareBuffers.length >= BUFFERS_KEPT_MAX) return;
    this.#spareBuffers.push(out);
  }

  // ---------------------------------------------------------------- closing and handing over

  /**
   * Closes the open commit and hands it to the writer. A segment that its settlements fill is closed as well: the
   * offsets of the next commit must not outgrow a position.
   */
  close(closesSegment = false): void {
    const commit = this.#open;
    const { segment } = commit;
    const index = this.#index;
    commit.seal();
    this.#segment.bytes = commit.end;
    const rolls = closesSegment || commit.end >= this.#init.segmentBytesMax;
    this.#open = rolls
      ? this.#newCommit(segment + 1, SEGMENT_HEADER_BYTES)
      : this.#newCommit(segment, commit.end);
    this.#init.writer.add(commit);
    this.#open.takeOver(commit);
    for (let i = 0; i < commit.settledQueueIds.length; i++) {
      index.settle(commit.settledQueueIds[i] as number, commit.settledSequences[i] as number);
    }
  }

  /** Settlements alone do not keep the disk going: they have time. */
  closeIfAwaited(): void {
    if (this.#open.waiting.length > 0) this.close();
  }

  /** Settlements wait a while for a publish to share a commit with. */
  scheduleSettlements(): void {
    const { clock, settlementDelayMs, writer, isFailed } = this.#init;
    if (isFailed() || this.#writeScheduled !== undefined || !writer.isIdle) return;
    if (settlementDelayMs === 0) {
      this.scheduleWrite();
      return;
    }
    this.#settlementTimer ??= clock.setTimer(settlementDelayMs, () => {
      this.#settlementTimer = undefined;
      this.write();
    });
  }

  /** A small commit starts after all that is ready to run now has run, so that it takes all of it along. */
  scheduleWrite(): void {
    const { writer, isFailed } = this.#init;
    if (isFailed()) return;
    if (this.#open.out.end >= this.#commitBytesMax()) this.close();
    if (writer.isFull) return;
    if (this.#open.out.end >= WORTH_WRITING_BYTES) return this.write();
    this.#writeScheduled ??= setImmediate(() => this.write());
  }

  /** The open commit is closed when it has grown to this. */
  #commitBytesMax(): number {
    const underWay = this.#init.writer.pendingBytes + this.#open.out.end;
    return Math.min(COMMIT_BYTES_MAX, Math.max(WORTH_WRITING_BYTES, underWay * COMMIT_SHARE));
  }

  /** Hands over what there is, if the writer has room. */
  write(): void {
    const { writer, isFailed } = this.#init;
    this.cancel();
    if (isFailed()) return;
    if (!this.#open.isEmpty && !writer.isFull) this.close();
    writer.pump();
  }

  /** Nothing is handed over by itself, until something is scheduled again. */
  cancel(): void {
    clearImmediate(this.#writeScheduled);
    this.#writeScheduled = undefined;
    this.#settlementTimer?.cancel();
    this.#settlementTimer = undefined;
  }

  // ---------------------------------------------------------------- waiting

  /** Calls back, with the commit that it needs, when everything appended so far is durable. */
  whenDurable(callback: DurableCallback): void {
    if (!this.#open.isEmpty) {
      this.#open.waiting.push(callback);
      return this.scheduleWrite();
    }
    const { last } = this.#init.writer;
    if (last === undefined) queueMicrotask(callback);
    else last.waiting.push(callback);
    return undefined;
  }

  /** Whoever waits for a commit that is not durable, in order; nobody waits for it any more. */
  takeWaiting(): DurableCallback[] {
    return [...this.#init.writer.pending(), this.#open].flatMap(({ waiting }) => waiting.splice(0));
  }
}
