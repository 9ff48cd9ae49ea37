import { NumberColumn, Uint32Column } from './columns.js';
import type { Marks } from './message-store.js';
import { isMarked } from './queue-mark-codec.js';
import {
  type CopyRecord,
  type DefinitionRecord,
  type DiscardRecord,
  type MoveRecord,
  OWN_BODY,
  type RawRecord,
  readCopyIndex,
  readDefinition,
  readDiscard,
  readMoveIndex,
  readPublishIndex,
  recordsInside,
  RECORD_TYPE,
  readRequeue,
  type RequeueRecord,
} from './record.js';

/** A record that the index does not know: written by a newer release, for whoever has the file's name to say so. */
export class UnknownRecordError extends Error {
  constructor(readonly type: number) {
    super(`a record has the unknown type ${type}`);
  }
}

/**
 * What a segment's records did to the queues, without envelopes and bodies (J9): in columns, so that ten million
 * entries are read without an object each. Built while the segment is written, or from its records.
 *
 * Order matters only where it says so: a sequence enters a queue once and leaves it once, so what left is a set. Where
 * two records name a message's place, the later one is a copy of it, and counts.
 */
export class SegmentIndex {
  /** Messages put into queues, one row a queue: publishes, moves and copies. */
  readonly sequences: NumberColumn = new NumberColumn();
  readonly offsets: Uint32Column = new Uint32Column();
  readonly queueIds: Uint32Column = new Uint32Column();
  /** Rows of messages with a mark, in ascending order, and what it says. Most have none. */
  readonly markedRows: Uint32Column = new Uint32Column();
  readonly expiresAt: NumberColumn = new NumberColumn();
  readonly readyAt: NumberColumn = new NumberColumn();
  readonly priorities: Uint32Column = new Uint32Column();
  /** Messages that left their queues: settled, or moved away. */
  readonly settledSequences: NumberColumn = new NumberColumn();
  readonly settledQueueIds: Uint32Column = new Uint32Column();
  /** Delivery counts, in order: the last one of a message counts. */
  readonly countedSequences: NumberColumn = new NumberColumn();
  readonly countedQueueIds: Uint32Column = new Uint32Column();
  readonly counts: Uint32Column = new Uint32Column();
  /** Rows of delivery counts that came with a time before which the message is not delivered, and that time. */
  readonly delayedRows: Uint32Column = new Uint32Column();
  readonly delayedUntil: NumberColumn = new NumberColumn();
  /** Where moved messages have their bodies, and where their own records are. */
  readonly bodyPositions: NumberColumn = new NumberColumn();
  readonly borrowerOffsets: Uint32Column = new Uint32Column();
  readonly discards: DiscardRecord[] = [];
  readonly definitions: DefinitionRecord[] = [];
  /** The highest sequence that is known of in it, or 0. */
  lastSequence = 0;

  /** Messages that its records put into queues, settled or not. */
  get messages(): number {
    return this.sequences.length;
  }

  get lastDefinitionSequence(): number {
    return this.definitions.at(-1)?.sequence ?? 0;
  }

  publish(sequence: number, offset: number, queueIds: readonly number[], marks?: Marks): void {
    if (marks !== undefined) this.#mark(marks);
    for (let i = 0; i < queueIds.length; i++) {
      this.sequences.push(sequence);
      this.offsets.push(offset);
      this.queueIds.push(queueIds[i] as number);
    }
    if (sequence > this.lastSequence) this.lastSequence = sequence;
  }

  /** Of the rows that come next. */
  #mark(marks: Marks): void {
    for (const [place, mark] of marks.entries()) {
      if (!isMarked(mark)) continue;
      this.markedRows.push(this.sequences.length + place);
      this.expiresAt.push(mark.expiresAt);
      this.readyAt.push(mark.readyAt);
      this.priorities.push(mark.priority);
    }
  }

  copy({ sequence, queueIds, marks, deliveryCounts }: Omit<CopyRecord, 'message'>, offset: number): void {
    this.publish(sequence, offset, queueIds, marks);
    for (const [i, deliveryCount] of deliveryCounts.entries()) {
      const readyAt = marks?.[i]?.readyAt ?? 0;
      if (deliveryCount > 0)
        this.requeue({ queueId: queueIds[i] as number, sequence, deliveryCount, readyAt });
    }
  }

  move(move: Omit<MoveRecord, 'message' | 'body'>, offset: number): void {
    this.settle(move.fromQueueId, move.fromSequence);
    this.publish(move.sequence, offset, move.queueIds, move.marks);
    if (move.bodyPosition === OWN_BODY) return;
    this.bodyPositions.push(move.bodyPosition);
    this.borrowerOffsets.push(offset);
  }

  settle(queueId: number, sequence: number): void {
    this.settledQueueIds.push(queueId);
    this.settledSequences.push(sequence);
  }

  requeue({ queueId, sequence, deliveryCount, readyAt }: RequeueRecord): void {
    if (readyAt !== 0) {
      this.delayedRows.push(this.counts.length);
      this.delayedUntil.push(readyAt);
    }
    this.countedQueueIds.push(queueId);
    this.countedSequences.push(sequence);
    this.counts.push(deliveryCount);
  }

  /** `through` may be the sequence of a message that no record has: none below it may be given again. */
  discard(discard: DiscardRecord): void {
    this.discards.push(discard);
    if (discard.through > this.lastSequence) this.lastSequence = discard.through;
  }

  define(definition: DefinitionRecord): void {
    this.definitions.push(definition);
    if (definition.sequence > this.lastSequence) this.lastSequence = definition.sequence;
  }

  /** Takes over what a record says. Throws UnknownRecordError, or what reading the record's payload throws. */
  add(record: RawRecord, offset: number): void {
    const { type, payload } = record;
    switch (type) {
      case RECORD_TYPE.commit:
      case RECORD_TYPE.gap:
        return;
      case RECORD_TYPE.publish: {
        const { sequence, queueIds, marks } = readPublishIndex(payload);
        return this.publish(sequence, offset, queueIds, marks);
      }
      case RECORD_TYPE.copy:
        return this.copy(readCopyIndex(payload), offset);
      case RECORD_TYPE.move:
        return this.move(readMoveIndex(payload), offset);
      case RECORD_TYPE.settle:
        while (payload.at < payload.end) this.settle(payload.uint32(), payload.uint64());
        return;
      case RECORD_TYPE.requeue:
        return this.requeue(readRequeue(payload));
      case RECORD_TYPE.discard:
        return this.discard(readDiscard(payload));
      case RECORD_TYPE.define:
        return this.define(readDefinition(payload));
      case RECORD_TYPE.transaction:
        for (const inside of recordsInside(record)) this.add(inside.record, offset + inside.offset);
        return;
      default:
        throw new UnknownRecordError(type);
    }
  }
}
