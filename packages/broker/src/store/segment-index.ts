import { NumberColumn, Uint32Column } from './columns.js';
import {
  type DefinitionRecord,
  type DiscardRecord,
  OWN_BODY,
  type RawRecord,
  readCopyIndex,
  readDefinition,
  readDiscard,
  readMoveIndex,
  readPublishIndex,
  recordsInside,
  RECORD_TYPE,
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
  /** Messages that left their queues: settled, or moved away. */
  readonly settledSequences: NumberColumn = new NumberColumn();
  readonly settledQueueIds: Uint32Column = new Uint32Column();
  /** Delivery counts, in order: the last one of a message counts. */
  readonly countedSequences: NumberColumn = new NumberColumn();
  readonly countedQueueIds: Uint32Column = new Uint32Column();
  readonly counts: Uint32Column = new Uint32Column();
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

  publish(sequence: number, offset: number, queueIds: readonly number[]): void {
    for (let i = 0; i < queueIds.length; i++) {
      this.sequences.push(sequence);
      this.offsets.push(offset);
      this.queueIds.push(queueIds[i] as number);
    }
    if (sequence > this.lastSequence) this.lastSequence = sequence;
  }

  copy(
    sequence: number,
    offset: number,
    queueIds: readonly number[],
    deliveryCounts: readonly number[],
  ): void {
    this.publish(sequence, offset, queueIds);
    for (const [i, count] of deliveryCounts.entries()) {
      if (count > 0) this.requeue(queueIds[i] as number, sequence, count);
    }
  }

  move(
    sequence: number,
    offset: number,
    queueIds: readonly number[],
    from: { readonly fromQueueId: number; readonly fromSequence: number; readonly bodyPosition: number },
  ): void {
    this.settle(from.fromQueueId, from.fromSequence);
    this.publish(sequence, offset, queueIds);
    if (from.bodyPosition === OWN_BODY) return;
    this.bodyPositions.push(from.bodyPosition);
    this.borrowerOffsets.push(offset);
  }

  settle(queueId: number, sequence: number): void {
    this.settledQueueIds.push(queueId);
    this.settledSequences.push(sequence);
  }

  requeue(queueId: number, sequence: number, count: number): void {
    this.countedQueueIds.push(queueId);
    this.countedSequences.push(sequence);
    this.counts.push(count);
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
        const { sequence, queueIds } = readPublishIndex(payload);
        return this.publish(sequence, offset, queueIds);
      }
      case RECORD_TYPE.copy: {
        const { sequence, queueIds, deliveryCounts } = readCopyIndex(payload);
        return this.copy(sequence, offset, queueIds, deliveryCounts);
      }
      case RECORD_TYPE.move: {
        const move = readMoveIndex(payload);
        return this.move(move.sequence, offset, move.queueIds, move);
      }
      case RECORD_TYPE.settle:
        while (payload.at < payload.end) this.settle(payload.uint32(), payload.uint64());
        return;
      case RECORD_TYPE.requeue:
        return this.requeue(payload.uint32(), payload.uint64(), payload.uint32());
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
