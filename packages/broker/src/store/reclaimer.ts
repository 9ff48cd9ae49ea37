import type { Clock, Timer } from '../clock.js';
import { bringForward, type CompactionInit } from './compaction.js';
import type { DurableMark } from './durable-mark.js';
import type { FileSystem } from './file-system.js';
import { indexFileName, removeIfThere } from './index-file.js';
import { PLANTED } from './planted.js';
import type { Position } from './record.js';
import { segmentFileName } from './segment.js';
import type { SegmentReader } from './segment-reader.js';
import type { SegmentState, SegmentTable } from './segment-table.js';

export interface ReclaimerInit {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  readonly segmentBytesMax: number;
  readonly table: SegmentTable;
  readonly reader: SegmentReader;
  readonly mark: DurableMark;
  readonly durableUpTo: () => Position;
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

/** Gives disk back: removes settled segments from the oldest on, and empties mostly settled ones (J6, J7). */
export class Reclaimer {
  readonly #init: ReclaimerInit;
  #removing: Promise<void> | undefined;
  #compacting: Promise<void> | undefined;
  /** The segment that is being emptied: not removed before that has ended. */
  #compactingSegment = 0;
  /** Segments up to this number were emptied: what is counted in them still is settled, but not durably yet. */
  #compactedUpTo = 0;
  #compactions = 0;
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
    return segment === this.#compactingSegment;
  }

  /** Looks whether something can be given back, and does it in the background. Never throws. */
  look(): void {
    if (this.#closed || this.#paused !== undefined) return;
    if (this.#removing === undefined && this.#removable() !== undefined) {
      this.#removing = this.#removeAll()
        .catch((error: unknown) => this.#pause('Settled segments', error))
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
    onTrouble(`${what} can't be removed for now`, cause);
  }

  // ---------------------------------------------------------------- removing

  #removable(): SegmentState | undefined {
    const { table, writtenSegment } = this.#init;
    for (const segment of table.all()) {
      if (segment.number >= writtenSegment() || this.isLeaving(segment.number)) return undefined;
      if (table.canGo(segment)) return segment;
      if (!PLANTED.settlementDroppedEarly) return undefined;
    }
    return undefined;
  }

  /**
   * From the oldest on, each removal durable before the next. So a settlement's record outlives its message's: it lies
   * in the same segment or a later one (J6).
   */
  async #removeAll(): Promise<void> {
    for (;;) {
      const segment = this.#removable();
      if (segment === undefined || this.#closed) return;
      await this.#remove(segment);
    }
  }

  async #remove({ number, lastDefinitionSequence }: SegmentState): Promise<void> {
    const { fileSystem, directory, table, reader, mark, durableUpTo, snapshot, snapshotThrough } = this.#init;
    if (lastDefinitionSequence > snapshotThrough()) await snapshot();
    mark.firstSegment = number + 1;
    mark.write(durableUpTo());
    await mark.sync();
    await reader.forget(number);
    await removeIfThere(fileSystem, `${directory}/${indexFileName(number)}`);
    await removeIfThere(fileSystem, `${directory}/${segmentFileName(number)}`);
    await fileSystem.syncDirectory(directory);
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
    if (bytes <= 2 * liveBytes + segmentBytesMax) return;
    this.#compactingSegment = oldest.number;
    this.#compacting = this.#compact(init, oldest.number)
      .catch((error: unknown) => this.#refuseCompaction(error))
      .finally(() => {
        this.#compacting = undefined;
        this.#compactingSegment = 0;
        this.look();
      });
  }

  async #compact(init: CompactionInit, segment: number): Promise<void> {
    if (!(await bringForward(init, segment))) return;
    this.#init.table.returned(segment);
    this.#compactedUpTo = segment;
    this.#compactions++;
  }

  /** A failed store is cured by itself; a segment that can't be read is not. */
  #refuseCompaction(cause: unknown): void {
    if (this.#init.failed()) return;
    this.#compactionRefused = true;
    this.#init.onTrouble("The oldest segment can't be compacted until the next start", cause);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#paused?.cancel();
    await this.#compacting;
    await this.#removing;
  }
}
