import type { ByteWriter } from '../message/table-codec.js';
import type { DurableCallback } from './message-store.js';
import {
  COMMIT_RECORD_BYTES,
  endRecord,
  type Position,
  positionOf,
  RECORD_HEADER_BYTES,
  segmentOf,
  writeCommit,
  writeSettlements,
} from './record.js';

const SETTLEMENTS_PER_RECORD = 4096;
/** So many settlements are written with one commit; more wait for the next, so that an offset stays in its bits. */
const SETTLEMENTS_PER_COMMIT_MAX = 1024 * 1024;

/** What is written and synced together: one write, one fdatasync (J2). */
export class Commit {
  readonly settledQueueIds: number[] = [];
  readonly settledSequences: number[] = [];
  readonly waiting: DurableCallback[] = [];
  /** How many messages of which segments are no longer needed once this is durable: runs, not a map, for speed. */
  readonly releasedSegments: number[] = [];
  readonly releasedCounts: number[] = [];
  /** It is on the disk. Those before it may not be yet. */
  written = false;

  /** `out` is reused; what was in it is overwritten. */
  constructor(
    readonly segment: number,
    readonly start: number,
    readonly out: ByteWriter,
  ) {
    out.end = 0;
    writeCommit(out, { position: positionOf(segment, start), durableUpTo: 0, key: 0 });
  }

  /** Nothing but the commit's own record is in it. */
  get hasNoRecords(): boolean {
    return this.out.end <= COMMIT_RECORD_BYTES;
  }

  get isEmpty(): boolean {
    return this.hasNoRecords && this.settledQueueIds.length === 0 && this.releasedCounts.length === 0;
  }

  /** Where the segment ends when this is written. */
  get end(): number {
    return this.start + this.out.end;
  }

  bytes(): Buffer {
    return this.out.buffer.subarray(0, this.out.end);
  }

  settle(queueId: number, sequence: number): void {
    this.settledQueueIds.push(queueId);
    this.settledSequences.push(sequence);
  }

  release(position: Position, count: number): void {
    const segment = segmentOf(position);
    const last = this.releasedSegments.length - 1;
    if (this.releasedSegments[last] === segment)
      this.releasedCounts[last] = (this.releasedCounts[last] as number) + count;
    else {
      this.releasedSegments.push(segment);
      this.releasedCounts.push(count);
    }
  }

  /**
   * Writes the settlements last, so that they follow the records of the messages that they settle. Those beyond the
   * bound stay where they are, for the next commit to take over.
   */
  seal(): void {
    const { settledQueueIds: queueIds, settledSequences: sequences } = this;
    const count = Math.min(queueIds.length, SETTLEMENTS_PER_COMMIT_MAX);
    for (let from = 0; from < count; from += SETTLEMENTS_PER_RECORD) {
      const to = Math.min(count, from + SETTLEMENTS_PER_RECORD);
      writeSettlements(this.out, queueIds.slice(from, to), sequences.slice(from, to));
    }
  }

  /** Takes over the settlements that `before`, which is sealed, had no room for, and their releases. */
  takeOver(before: Commit): void {
    const queueIds = before.settledQueueIds.splice(SETTLEMENTS_PER_COMMIT_MAX);
    if (queueIds.length === 0) return;
    const sequences = before.settledSequences.splice(SETTLEMENTS_PER_COMMIT_MAX);
    for (const [i, queueId] of queueIds.entries()) this.settle(queueId, sequences[i] as number);
    // Which release belongs to which settlement is not known: all wait for the last.
    for (const [i, segment] of before.releasedSegments.splice(0).entries()) {
      this.releasedSegments.push(segment);
      this.releasedCounts.push(before.releasedCounts[i] as number);
    }
    before.releasedCounts.length = 0;
  }

  /** Says in the commit's own record how far the journal is durable now, and that it belongs to its segment. */
  stamp(durableUpTo: Position, key: number): void {
    const { end } = this.out;
    this.out.end = RECORD_HEADER_BYTES + 8;
    this.out.uint64(durableUpTo);
    this.out.uint64(key);
    endRecord(this.out, 0);
    this.out.end = end;
  }
}
