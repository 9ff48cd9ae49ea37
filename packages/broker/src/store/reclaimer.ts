import type { Clock, Timer } from '../clock.js';
import { BrokerError } from '../errors.js';
import { aliveIn, bringForward, type CompactionInit } from './compaction.js';
import type { DurableMark } from './durable-mark.js';
import type { FileSystem } from './file-system.js';
import { indexFileName, removeIfThere } from './index-file.js';
import { PLANTED } from './planted.js';
import { segmentFileName } from './segment.js';
import type { SegmentReader } from './segment-reader.js';
import { liveBytesOf, type SegmentState, type SegmentTable } from './segment-table.js';

export interface ReclaimerInit {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly table: SegmentTable;
  readonly reader: SegmentReader;
  readonly mark: DurableMark;
  /** The segment that is written to; it and later ones stay. */
  readonly writtenSegment: () => number;
  /** Definitions are in the snapshot up to this sequence. */
  readonly snapshotThrough: () => number;
  readonly snapshot: () => Promise<void>;
  /** How messages are brought forward; undefined while nobody knows what is in the queues. */
  readonly compaction: () => CompactionInit | undefined;
  /** The store takes nothing now: compaction would fail. */
  readonly failed: () => boolean;
  /** Space is not given back for now, and why. Nothing is lost by it. */
  readonly onTrouble: (what: string, cause: unknown) => void;
}

/** After trouble with the disk, removing is tried again this much later. Milliseconds. */
const PAUSE_MS = 30_000;

/** Small segments are emptied together, up to so much: each time some commits are waited for. Bytes. */
const COMPACTED_BYTES_MAX = 4 * 1024 * 1024;

/** Gives disk back: removes settled segments from the oldest on, and empties mostly settled ones (J6, J7). */
export class Reclaimer {
  readonly #init: ReclaimerInit;
  #removing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;
  /** The last of the segments that are being emptied: they are not removed before that has ended. */
  #compactingUpTo = 0;
  /** Segments up to this number were emptied: what is counted in them still is settled, but not durably yet. */
  #compactedUpTo = 0;
  #compactions = 0;
  #measuring: Promise<void> | undefined;
  #measurements = 0;
  #looks = 0;
  #paused: Timer | undefined;
  #compactionRefused = false;
  #closed = false;

  constructor(init: ReclaimerInit) {
    this.#init = init;
  }

  /** How often a segment was emptied so that it could go. */
  get compactions(): number {
    return this.#compactions;
  }

  /** A body in this segment may not be referred to by new records: it is about to go. */
  isLeaving(segment: number): boolean {
    return segment <= this.#compactingUpTo;
  }

  /** Looks whether something can be given back, and does it in the background. Never throws. */
  look(): void {
    if (this.#closed || this.#paused !== undefined) return;
    if (this.#removing === undefined && this.#canRemove()) {
      this.#removing = this.#removeAll()
        .catch((error: unknown) => this.#pause("Settled segments can't be removed for now", error))
        .finally(() => (this.#removing = undefined));
    }
    // With many segments the sum is not made for each commit.
    if (++this.#looks * 16 >= this.#init.table.size) this.#compactIfWorthwhile();
  }

  #pause(what: string, cause: unknown): void {
    const { clock, onTrouble } = this.#init;
    this.#paused = clock.setTimer(PAUSE_MS, () => {
      this.#paused = undefined;
      this.look();
    });
    onTrouble(what, cause);
  }

  // ---------------------------------------------------------------- removing

  #canRemove(): boolean {
    const { oldest } = this.#init.table;
    return PLANTED.settlementDroppedEarly || (oldest !== undefined && this.#removable().length > 0);
  }

  /** Segments that can go now: the oldest, and those after it without a gap. */
  #removable(): SegmentState[] {
    const { table, writtenSegment } = this.#init;
    const removable: SegmentState[] = [];
    for (const segment of table.all()) {
      if (segment.number >= writtenSegment() || this.isLeaving(segment.number)) break;
      if (table.canGo(segment)) removable.push(segment);
      else if (!PLANTED.settlementDroppedEarly) break;
    }
    return removable;
  }

  /**
   * From the oldest on; which one is the oldest that is needed is on the disk before any older one goes. So a settlement's
   * record outlives its message's, which lies in the same segment or an older one (J6).
   */
  async #removeAll(): Promise<void> {
    for (;;) {
      const segments = this.#removable();
      const last = segments.at(-1);
      if (last === undefined || this.#closed) return;
      const { mark, snapshot, snapshotThrough } = this.#init;
      if (segments.some((one) => one.lastDefinitionSequence > snapshotThrough())) await snapshot();
      await mark.forgetBefore(last.number + 1);
      for (const { number } of segments) await this.#remove(number);
      await this.#init.fileSystem.syncDirectory(this.#init.directory);
    }
  }

  async #remove(number: number): Promise<void> {
    const { fileSystem, directory, table, reader } = this.#init;
    // First of all: who writes its index now sees by this that it is not wanted.
    table.get(number).isGoing = true;
    await reader.forget(number);
    await removeIfThere(fileSystem, `${directory}/${indexFileName(number)}`);
    await removeIfThere(fileSystem, `${directory}/${segmentFileName(number)}`);
    table.remove(number);
  }

  // ---------------------------------------------------------------- compacting

  /**
   * J7: the journal takes at most twice what is alive in it, and two segments. When it takes one segment less than that, the
   * oldest segment is emptied, while the other fills. Always the oldest: so settlements keep outliving their messages (J6), and what has stayed alive for long is
   * brought behind the settled segments, which then go for nothing.
   */
  #compactIfWorthwhile(): void {
    this.#looks = 0;
    const { table, segmentBytesMax, writtenSegment, compaction, failed } = this.#init;
    const { oldest } = table;
    const init = compaction();
    if (init === undefined || oldest === undefined || oldest.number >= writtenSegment()) return;
    if (oldest.number <= this.#compactedUpTo) return;
    if (this.#compacting !== undefined || this.#compactionRefused || failed() || table.canGo(oldest)) return;
    const { bytes, liveBytes } = table.usage();
    const excess = bytes - 2 * liveBytes - segmentBytesMax;
    if (excess <= 0) return;
    const segments = this.#worthEmptying(excess);
    this.#compactingUpTo = segments.at(-1) ?? 0;
    this.#compacting = this.#compact(init, segments)
      .catch((error: unknown) => this.#refuseCompaction(error))
      .finally(() => {
        this.#compacting = undefined;
        this.#compactingUpTo = 0;
        this.look();
      });
  }

  /** So many of the oldest segments that emptying them gives back the excess, but not more than is done in one go. */
  #worthEmptying(excess: number): number[] {
    const { table, segmentBytesMax, writtenSegment } = this.#init;
    const bytesMax = Math.max(segmentBytesMax, COMPACTED_BYTES_MAX);
    const numbers: number[] = [];
    let [bytes, given] = [0, 0];
    for (const segment of table.all()) {
      bytes += segment.bytes;
      const isFirst = numbers.length === 0;
      if (segment.number >= writtenSegment() || (!isFirst && (bytes > bytesMax || given >= excess))) break;
      numbers.push(segment.number);
      given += segment.bytes - liveBytesOf(segment);
    }
    return numbers;
  }

  /**
   * A segment was sealed: one of them is looked at, so that what is alive is known by bytes, too, however different the
   * messages in it are. One for each that is filled: so all have their turn.
   */
  measureOne(): void {
    const { table, writtenSegment, compaction } = this.#init;
    const init = compaction();
    const segment = table.leastMeasured(writtenSegment());
    if (init === undefined || segment === undefined || this.#measuring !== undefined || this.#closed) return;
    this.#measuring = this.#measure(init, segment).finally(() => {
      this.#measuring = undefined;
      this.look();
    });
  }

  async #measure(init: CompactionInit, segment: SegmentState): Promise<void> {
    const look = ++this.#measurements;
    try {
      segment.measured = { ...(await aliveIn(init, segment.number, segment.bytes)), look };
    } catch (error) {
      // It may have gone meanwhile. Else it is looked at again when the others have had their turn.
      segment.measured = { bytes: segment.bytes, messages: segment.live, look };
      if (!segment.isGoing)
        this.#init.onTrouble(`The index of segment ${segment.number} can't be read`, error);
    }
  }

  async #compact(init: CompactionInit, segments: readonly number[]): Promise<void> {
    if (!(await bringForward(init, segments))) return;
    for (const segment of segments) this.#init.table.returned(segment);
    this.#compactedUpTo = segments.at(-1) ?? 0;
    this.#compactions += segments.length;
  }

  /** A failed store is cured by itself; a segment that can't be read is not. */
  #refuseCompaction(cause: unknown): void {
    if (this.#init.failed()) return;
    if (cause instanceof BrokerError && cause.code === 'JOURNAL_DAMAGED') {
      this.#compactionRefused = true;
      return this.#init.onTrouble("The oldest segment can't be compacted until the next start", cause);
    }
    return this.#pause("The oldest segment can't be compacted for now", cause);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#paused?.cancel();
    await this.#measuring;
    await this.#compacting;
    await this.#removing;
  }
}
