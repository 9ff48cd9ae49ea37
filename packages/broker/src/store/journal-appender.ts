import { ownBytes } from '../message/encoded-message.js';
import { isPersistent, type Message } from '../message/message.js';
import type { BodyCache } from './body-cache.js';
import type { CommitFiller } from './commit-filler.js';
import type { Resident } from './compaction.js';
import type { JournalHealth } from './journal-health.js';
import { TransientMessages } from './memory-store.js';
import type { Appended, Held, Publication, Residents } from './message-store.js';
import { PLANTED } from './planted.js';
import {
  type DefinitionRecord,
  type DiscardRecord,
  offsetOf,
  OWN_BODY,
  type Position,
  type RequeueRecord,
  segmentOf,
  writeCopy,
  writeDefinition,
  writeDiscard,
  writeMove,
  writePublish,
  writeRequeue,
} from './record.js';
import { releaseInTurns } from './releases.js';
import type { SegmentTable } from './segment-table.js';
import { encodeTransaction } from './transaction.js';

export interface JournalAppenderInit {
  readonly table: SegmentTable;
  readonly cache: BodyCache;
  readonly filler: CommitFiller;
  readonly health: JournalHealth;
  /** A body in this segment may not be referred to by new records: it is about to go. */
  readonly isLeaving: (segment: number) => boolean;
  readonly nextSequence: number;
}

/**
 * Puts what happens into the open commit, and takes note of it: in the segment's index, in the count of what each segment is
 * needed for, in the cache. Whether anything is accepted now the caller has asked before.
 */
export class JournalAppender {
  readonly #table: SegmentTable;
  readonly #cache: BodyCache;
  readonly #filler: CommitFiller;
  readonly #health: JournalHealth;
  readonly #isLeaving: (segment: number) => boolean;
  readonly #transient = new TransientMessages();
  /** Where the bodies of moved messages in memory are, as long as they are where they were moved to. */
  readonly #movedBodies = new WeakMap<
    Message,
    { readonly position: Position; readonly bodyPosition: Position }
  >();
  #nextSequence: number;

  constructor({ table, cache, filler, health, isLeaving, nextSequence }: JournalAppenderInit) {
    this.#table = table;
    this.#cache = cache;
    this.#filler = filler;
    this.#health = health;
    this.#isLeaving = isLeaving;
    this.#nextSequence = nextSequence;
  }

  /** The sequence that is given next. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** The message, if it is in memory. */
  peek(position: Position): Message | undefined {
    return position < 0 ? this.#transient.get(position) : this.#cache.get(position);
  }

  publish(publication: Publication): Appended {
    const { message, journaledQueueIds, marks } = publication;
    if (journaledQueueIds.length === 0 || !isPersistent(message))
      return this.#appended(publication, undefined);
    const sequence = this.#nextSequence;
    const position = this.#filler.append((out) =>
      writePublish(out, sequence, journaledQueueIds, message, marks),
    );
    const appended = this.#appended(publication, position);
    this.#filler.scheduleWrite();
    return appended;
  }

  /** Takes note of a message whose record is written at `position` already; of one that has none, without. */
  #appended(
    { message, journaledQueueIds, otherQueues, marks }: Publication,
    position: Position | undefined,
  ): Appended {
    const sequence = this.#nextSequence++;
    if (position === undefined) {
      const inMemory = this.#transient.add(message, journaledQueueIds.length + otherQueues);
      return { sequence, position: inMemory, transientPosition: inMemory };
    }
    this.#filler.index.publish(sequence, offsetOf(position), journaledQueueIds, marks);
    this.#keep(position, message, journaledQueueIds.length);
    return { sequence, position, transientPosition: this.#alsoTransient(message, otherQueues) };
  }

  /** Queues that no crash survives have a message of their own, so that they keep no file alive. */
  #alsoTransient(message: Message, otherQueues: number): Position {
    return otherQueues === 0 ? 0 : this.#transient.add(message, otherQueues);
  }

  #keep(position: Position, message: Message, queues: number): void {
    this.#cache.add(position, message, queues);
    const segment = this.#filler.segment;
    segment.live += queues;
    segment.messages += queues;
  }

  /** One queue has no more use for the message at `position` once the open commit is durable. */
  #release(position: Position): void {
    if (position < 0) return this.#transient.release(position);
    this.#cache.release(position);
    return this.#filler.open.release(position, 1);
  }

  transact(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    const { record, offsets, held } = encodeTransaction(publications, settled, this.#nextSequence);
    if (PLANTED.transactionSplit) return this.#split(publications, settled);
    const position = record === undefined ? 0 : this.#filler.append((out) => out.bytes(record));
    for (const one of held) this.#filler.index.settle(one.queueId, one.sequence);
    for (const one of settled) this.#release(one.position);
    const appended = publications.map((publication, i) => {
      const offset = offsets[i];
      return this.#appended(publication, offset === undefined ? undefined : position + offset);
    });
    if (record !== undefined) this.#filler.scheduleWrite();
    return appended;
  }

  #split(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    const appended = publications.map((one) => {
      this.#filler.close();
      return this.publish(one);
    });
    for (const { queueId, sequence, position } of settled) this.settle(queueId, sequence, position);
    return appended;
  }

  // ---------------------------------------------------------------- moving

  move(from: Held & { readonly message: Message }, to: Publication): Appended {
    const { message, journaledQueueIds: queueIds, otherQueues, marks } = to;
    if (from.position < 0 || queueIds.length === 0 || !isPersistent(message)) {
      const moved = this.publish(to);
      this.settle(from.queueId, from.sequence, from.position);
      return moved;
    }
    const sequence = this.#nextSequence;
    const { queueId: fromQueueId, sequence: fromSequence } = from;
    const borrowed = this.#bodyOf(from);
    const own = this.#isLeaving(segmentOf(borrowed));
    const bodyPosition = own ? OWN_BODY : borrowed;
    const body = own ? message.body : undefined;
    const move = { sequence, fromQueueId, fromSequence, bodyPosition, body, queueIds, marks, message };
    const position = this.#filler.append((out) => writeMove(out, move));
    this.#nextSequence++;
    this.#filler.index.move(move, offsetOf(position));
    this.#keep(position, message, queueIds.length);
    if (!own) {
      this.noteMoved(message, position, bodyPosition);
      this.#table.borrow(segmentOf(position), segmentOf(bodyPosition));
    }
    this.#release(from.position);
    this.#filler.scheduleWrite();
    return { sequence, position, transientPosition: this.#alsoTransient(message, otherQueues) };
  }

  /** The message, whose record is at `position`, was moved, and has its body elsewhere. */
  noteMoved(message: Message, position: Position, bodyPosition: Position): void {
    this.#movedBodies.set(message, { position, bodyPosition });
  }

  /** Where the body is: with the message's record, unless it was moved and has not been brought forward since. */
  #bodyOf({ message, position }: Held & { readonly message: Message }): Position {
    const moved = this.#movedBodies.get(message);
    return moved?.position === position ? moved.bodyPosition : position;
  }

  /** In one go from the question to the append: a settlement comes before, and is seen, or after, and follows the copy. */
  copy(residents: Residents, { sequence, position, queueIds }: Resident, message: Message): void {
    const resident = queueIds.filter((queueId) => residents.find(queueId, sequence)?.position === position);
    const still = PLANTED.settledAreCopied ? queueIds : resident;
    if (still.length === 0) return;
    this.#health.assertAccepting();
    // Its own bytes: the part of the file that it was read from must not stay in memory for it.
    const kept = this.peek(position) ?? ownBytes(message);
    const residences = still.map((queueId) => residents.find(queueId, sequence));
    const record = {
      sequence,
      queueIds: still,
      marks: residences.map((residence) => residence?.mark),
      deliveryCounts: residences.map((residence) => residence?.deliveryCount ?? 0),
      message: kept,
    };
    const copy = this.#filler.append((out) => writeCopy(out, record));
    this.#filler.index.copy(record, offsetOf(copy));
    this.#keep(copy, kept, resident.length);
    for (const queueId of resident) {
      residents.relocate(queueId, sequence, copy);
      this.#cache.release(position);
    }
    this.#filler.open.release(position, resident.length);
  }

  // ---------------------------------------------------------------- settling, defining

  settle(queueId: number, sequence: number, position: Position): void {
    this.#release(position);
    if (position < 0) return;
    this.#filler.open.settle(queueId, sequence);
    this.#filler.scheduleSettlements();
  }

  requeue(requeue: RequeueRecord): void {
    this.#filler.append((out) => writeRequeue(out, requeue));
    this.#filler.index.requeue(requeue);
    this.#filler.scheduleSettlements();
  }

  discard(discard: DiscardRecord, positions: Iterable<Position>): void {
    this.#filler.append((out) => writeDiscard(out, discard));
    this.#filler.index.discard(discard);
    releaseInTurns(
      positions[Symbol.iterator](),
      (position) => this.#release(position),
      () => {
        if (this.#health.isClosing) return false;
        // A release counts when its commit is durable.
        this.#filler.scheduleSettlements();
        return true;
      },
    );
    this.#filler.scheduleWrite();
  }

  define(key: string, value: unknown): void {
    const definition: DefinitionRecord = { sequence: this.#nextSequence++, key, value };
    this.#filler.append((out) => writeDefinition(out, definition));
    this.#filler.index.define(definition);
    this.#filler.segment.lastDefinitionSequence = definition.sequence;
    this.#filler.scheduleWrite();
  }
}
