import type { Timer } from '../clock.js';
import { BrokerError, messageOf } from '../errors.js';
import { ownBytes } from '../message/encoded-message.js';
import { isPersistent, type Message } from '../message/message.js';
import { BodyCache } from './body-cache.js';
import type { Commit } from './commit.js';
import { CommitFiller } from './commit-filler.js';
import { CommitWriter } from './commit-writer.js';
import type { CompactionInit, Resident } from './compaction.js';
import { writeSnapshot } from './definition-snapshot.js';
import { DiskWatch } from './disk-watch.js';
import { DurableMark } from './durable-mark.js';
import { type IndexedSegment, indexFileName, removeIfThere, writeIndexFile } from './index-file.js';
import type { JournalOptions } from './journal-options.js';
import { openLastSegment } from './last-segment.js';
import { TransientMessages } from './memory-store.js';
import type {
  Appended,
  DurableCallback,
  Held,
  Marks,
  MessageStore,
  Publication,
  Recovered,
  Residents,
} from './message-store.js';
import { PLANTED } from './planted.js';
import { Reclaimer } from './reclaimer.js';
import {
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
import { recoverJournal, type RecoveredJournal } from './recovery.js';
import { randomSegmentKey } from './segment.js';
import type { SegmentIndex } from './segment-index.js';
import { SegmentReader } from './segment-reader.js';
import { SegmentTable } from './segment-table.js';
import { assertMarks, assertStorable } from './storable.js';
import { encodeTransaction } from './transaction.js';

/** The first try to go on after a failed write comes this much later, then each twice as late. Milliseconds. */
const HEAL_DELAY_MS = 1000;
const HEAL_DELAY_MS_MAX = 30_000;

/**
 * {@link MessageStore} on disk: one append-only journal for all queues (docs/journal-format.md).
 *
 * Appends go to the open commit; the {@link CommitWriter} writes and syncs commit after commit. While some are under way,
 * the next fills: the more there is to do, the more share an fdatasync.
 */
export class JournalStore implements MessageStore {
  readonly #options: JournalOptions;
  readonly #transient = new TransientMessages();
  readonly #cache: BodyCache;
  readonly #reader: SegmentReader;
  readonly #table = new SegmentTable();
  readonly #disk: DiskWatch;
  /** Where the bodies of moved messages in memory are, as long as they are where they were moved to. */
  readonly #movedBodies = new WeakMap<
    Message,
    { readonly position: Position; readonly bodyPosition: Position }
  >();
  #definitions = new Map<string, unknown>();
  #snapshotThrough = 0;
  #nextSequence = 1;
  #mark!: DurableMark;
  #writer!: CommitWriter;
  #reclaimer!: Reclaimer;
  #filler!: CommitFiller;
  #indexing: Promise<void> = Promise.resolve();
  #residents: Residents | undefined;
  #failure: BrokerError | undefined;
  #healTimer: Timer | undefined;
  #healing: Promise<void> | undefined;
  #healDelayMs = HEAL_DELAY_MS;
  /** The last word on each message that came back to its queue while the disk was failed. */
  readonly #requeuedWhileFailed = new Map<string, RequeueRecord>();
  #closing: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#cache = new BodyCache(options.cacheBytesMax);
    this.#reader = new SegmentReader(
      options.fileSystem,
      options.directory,
      (message, position, bodyPosition) => this.#movedBodies.set(message, { position, bodyPosition }),
    );
    const { fileSystem, clock, directory, diskFreeBytesMin: freeBytesMin, onBlocked } = options;
    this.#disk = new DiskWatch({
      fileSystem,
      clock,
      directory,
      freeBytesMin,
      onChange: (reason) => onBlocked?.(reason),
    });
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  get blocked(): string | undefined {
    return this.#disk.blocked;
  }

  /** How often a segment was emptied so that it could go. */
  get compactions(): number {
    return this.#reclaimer.compactions;
  }

  // ---------------------------------------------------------------- opening

  async open(): Promise<Recovered> {
    const { fileSystem, directory } = this.#options;
    await fileSystem.makeDirectory(directory);
    const { mark, marked } = await DurableMark.open(fileSystem, `${directory}/durable`);
    this.#mark = mark;
    try {
      const journal = await recoverJournal(fileSystem, directory, marked, (number, index, of) =>
        this.#writeIndexOf(number, index, of),
      );
      this.#makeParts(mark);
      this.#adopt(journal);
      await openLastSegment({ fileSystem, directory, mark }, journal, this.#writer);
      const { segment, durableUpTo } = this.#writer;
      this.#filler.begin(durableUpTo, segment, journal.lastIndex);
      await this.#disk.look();
      const { entries, definitions, snapshotThrough, segments } = journal;
      const lacksSnapshot = snapshotThrough === 0 && (segments[0]?.number ?? 1) > 1;
      return { entries, definitions, lacksSnapshot };
    } catch (error) {
      await mark.close();
      await this.#writer?.close();
      throw error;
    }
  }

  #makeParts(mark: DurableMark): void {
    const { fileSystem, clock, directory, segmentBytesMax } = this.#options;
    const writer = new CommitWriter({
      fileSystem,
      clock,
      directory,
      mark,
      nextSequence: () => this.#nextSequence,
      newKey: this.#options.newSegmentKey ?? randomSegmentKey,
      onRoom: () => this.#filler.closeIfAwaited(),
      onDurable: (commit) => this.#afterCommit(commit),
      onSealed: (number, of) => {
        this.#writeIndex(number, of);
        this.#reclaimer.measureOne();
      },
      onFailure: (cause) => this.#fail(cause),
      onHealed: () => this.#healed(),
      onMarkTrouble: (cause) => this.#trouble("The mark 'durable' can't be written", cause),
    });
    this.#writer = writer;
    const isFailed = (): boolean => this.#failure !== undefined;
    const { settlementDelayMs } = this.#options;
    this.#filler = new CommitFiller({
      clock,
      segmentBytesMax,
      settlementDelayMs,
      table: this.#table,
      writer,
      isFailed,
    });
    this.#reclaimer = new Reclaimer({
      fileSystem,
      clock,
      directory,
      segmentBytesMax,
      table: this.#table,
      reader: this.#reader,
      mark,
      writtenSegment: () => writer.segment,
      snapshotThrough: () => this.#snapshotThrough,
      snapshot: () => this.#snapshot(),
      compaction: () => this.#compactionInit(),
      failed: isFailed,
      onTrouble: (what, cause) => this.#trouble(what, cause),
    });
  }

  #adopt(journal: RecoveredJournal): void {
    this.#definitions = new Map(journal.definitions);
    this.#snapshotThrough = journal.snapshotThrough;
    this.#nextSequence = journal.nextSequence;
    for (const segment of journal.segments) this.#table.add(segment);
    for (const entries of journal.entries.values()) {
      for (const position of entries.positions) this.#table.count(segmentOf(position), 1);
    }
  }

  // ---------------------------------------------------------------- appending

  publish(
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended {
    this.#check(message, journaledQueueIds.length + otherQueues, marks);
    const publication = { message, journaledQueueIds, otherQueues, marks };
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

  /** Queues that no crash survives have a message of their own, so that they keep no file alive. */
  #alsoTransient(message: Message, otherQueues: number): Position {
    return otherQueues === 0 ? 0 : this.#transient.add(message, otherQueues);
  }

  transact(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    for (const { message, journaledQueueIds, otherQueues, marks } of publications) {
      this.#check(message, journaledQueueIds.length + otherQueues, marks);
    }
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

  /** One queue has no more use for the message at `position` once the open commit is durable. */
  #release(position: Position): void {
    if (position < 0) return this.#transient.release(position);
    this.#cache.release(position);
    return this.#filler.open.release(position, 1);
  }

  #split(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    const appended = publications.map((one) => {
      this.#filler.close();
      return this.publish(one.message, one.journaledQueueIds, one.otherQueues, one.marks);
    });
    for (const { queueId, sequence, position } of settled) this.settle(queueId, sequence, position);
    return appended;
  }

  move(
    from: Held & { readonly message: Message },
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended {
    if (from.position < 0 || journaledQueueIds.length === 0 || !isPersistent(message)) {
      const moved = this.publish(message, journaledQueueIds, otherQueues, marks);
      this.settle(from.queueId, from.sequence, from.position);
      return moved;
    }
    this.#check(message, journaledQueueIds.length + otherQueues, marks);
    const sequence = this.#nextSequence;
    const { queueId: fromQueueId, sequence: fromSequence } = from;
    const borrowed = this.#bodyOf(from);
    const own = this.#reclaimer.isLeaving(segmentOf(borrowed));
    const bodyPosition = own ? OWN_BODY : borrowed;
    const body = own ? message.body : undefined;
    const move = {
      sequence,
      fromQueueId,
      fromSequence,
      bodyPosition,
      body,
      queueIds: journaledQueueIds,
      marks,
      message,
    };
    const position = this.#filler.append((out) => writeMove(out, move));
    this.#nextSequence++;
    this.#filler.index.move(move, offsetOf(position));
    this.#keep(position, message, journaledQueueIds.length);
    if (!own) {
      this.#movedBodies.set(message, { position, bodyPosition });
      this.#table.borrow(segmentOf(position), segmentOf(bodyPosition));
    }
    this.#release(from.position);
    this.#filler.scheduleWrite();
    return { sequence, position, transientPosition: this.#alsoTransient(message, otherQueues) };
  }

  /** Where the body is: with the message's record, unless it was moved and has not been brought forward since. */
  #bodyOf({ message, position }: Held & { readonly message: Message }): Position {
    const moved = this.#movedBodies.get(message);
    return moved?.position === position ? moved.bodyPosition : position;
  }

  settle(queueId: number, sequence: number, position: Position): void {
    this.#release(position);
    if (position < 0) return;
    this.#filler.open.settle(queueId, sequence);
    this.#filler.scheduleSettlements();
  }

  requeue(
    queueId: number,
    sequence: number,
    position: Position,
    deliveryCount: number,
    readyAt: number = 0,
  ): void {
    if (position < 0) return;
    if (readyAt !== 0) assertMarks([{ expiresAt: 0, readyAt, priority: 0 }]);
    const requeue = { queueId, sequence, deliveryCount, readyAt };
    if (this.#failure === undefined) this.#requeue(requeue);
    else this.#requeuedWhileFailed.set(`${queueId} ${sequence}`, requeue);
  }

  #requeue(requeue: RequeueRecord): void {
    this.#filler.append((out) => writeRequeue(out, requeue));
    this.#filler.index.requeue(requeue);
    this.#filler.scheduleSettlements();
  }

  discard(queueId: number, through: number, kept: readonly number[], positions: Iterable<Position>): void {
    this.#throwIfFailed();
    this.#filler.append((out) => writeDiscard(out, { queueId, through, kept }));
    this.#filler.index.discard({ queueId, through, kept });
    for (const position of positions) this.#release(position);
    this.#filler.scheduleWrite();
  }

  define(key: string, value: unknown): void {
    this.#throwIfFailed();
    const sequence = this.#nextSequence++;
    this.#filler.append((out) => writeDefinition(out, { sequence, key, value }));
    this.#filler.index.define({ sequence, key, value });
    this.#filler.segment.lastDefinitionSequence = sequence;
    if (value === null) this.#definitions.delete(key);
    else this.#definitions.set(key, value);
    this.#filler.scheduleWrite();
  }

  whenDurable(callback: DurableCallback): void {
    const failure = this.#failure;
    if (failure !== undefined) queueMicrotask(() => callback(failure));
    else this.#filler.whenDurable(callback);
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new BrokerError('CLOSED', 'The broker is closed.', { cure: 'Publish before it is closed.' });
    }
  }

  #check(message: Message, queues: number, marks: Marks | undefined): void {
    this.#throwIfFailed();
    assertStorable(message, queues, marks);
  }

  #keep(position: Position, message: Message, queues: number): void {
    this.#cache.add(position, message, queues);
    const segment = this.#filler.segment;
    segment.live += queues;
    segment.messages += queues;
  }

  // ---------------------------------------------------------------- committing

  #afterCommit(commit: Commit): void {
    const { releasedSegments: segments, releasedCounts: counts } = commit;
    for (let i = 0; i < segments.length; i++)
      this.#table.count(segments[i] as number, -(counts[i] as number));
    this.#cache.trim(this.#writer.durableUpTo);
    this.#disk.written(commit.out.end);
    this.#filler.recycle(commit);
    for (const callback of commit.waiting) tell(callback);
    this.#reclaimer.look();
    if (!this.#filler.open.isEmpty) this.#filler.scheduleSettlements();
  }

  #writeIndex(number: number, of: IndexedSegment): void {
    const before = this.#indexing;
    this.#indexing = (async () => {
      await before;
      const index = this.#filler.indexOf(number);
      if (index !== undefined && this.#table.isKept(number)) await this.#writeIndexOf(number, index, of);
      this.#filler.forgetIndex(number);
      if (!this.#table.isKept(number)) await this.#removeIndex(number);
    })();
  }

  /** Of a segment that went while its index was written. */
  async #removeIndex(number: number): Promise<void> {
    const { fileSystem, directory } = this.#options;
    try {
      await removeIfThere(fileSystem, `${directory}/${indexFileName(number)}`);
    } catch (error) {
      this.#trouble(`The index of segment ${number}, which is gone, can't be removed`, error);
    }
  }

  /** An index that can't be written is made anew at the next opening. */
  async #writeIndexOf(number: number, index: SegmentIndex, of: IndexedSegment): Promise<void> {
    const { fileSystem, directory } = this.#options;
    try {
      await writeIndexFile(fileSystem, directory, { number, index, of });
    } catch (error) {
      this.#trouble(`The index of segment ${number} can't be written`, error);
    }
  }

  // ---------------------------------------------------------------- reclaiming

  compactFor(residents: Residents): void {
    this.#residents = residents;
  }

  #compactionInit(): CompactionInit | undefined {
    const { fileSystem, directory } = this.#options;
    const residents = this.#residents;
    if (residents === undefined) return undefined;
    return {
      fileSystem,
      directory,
      residents,
      openIndex: (segment) => this.#filler.indexOf(segment),
      borrowersOf: (segment) => this.#table.borrowersOf(segment),
      read: (positions, bytesMax) => this.read(positions, bytesMax),
      copy: (resident, message) => this.#copy(residents, resident, message),
      durable: () =>
        new Promise((resolve, reject) => {
          this.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
        }),
      stopped: () => this.#closing !== undefined,
    };
  }

  /** In one go from the question to the append: a settlement comes before, and is seen, or after, and follows the copy. */
  #copy(residents: Residents, { sequence, position, queueIds }: Resident, message: Message): void {
    const resident = queueIds.filter((queueId) => residents.find(queueId, sequence)?.position === position);
    const still = PLANTED.settledAreCopied ? queueIds : resident;
    if (still.length === 0) return;
    this.#throwIfFailed();
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

  async #snapshot(): Promise<void> {
    const { fileSystem, directory } = this.#options;
    const through = this.#nextSequence - 1;
    await writeSnapshot(fileSystem, directory, { through, definitions: this.#definitions });
    this.#snapshotThrough = through;
  }

  // ---------------------------------------------------------------- reading

  peek(position: Position): Message | undefined {
    return position < 0 ? this.#transient.get(position) : this.#cache.get(position);
  }

  async read(positions: readonly Position[], bytesMax: number = Infinity): Promise<Message[]> {
    const inMemory: (Message | undefined)[] = [];
    const absent: Position[] = [];
    for (const position of positions) {
      const message = this.peek(position);
      inMemory.push(message);
      if (message === undefined) absent.push(position);
    }
    if (absent.length === 0) return inMemory as Message[];
    const read = await this.#reader.read(absent, bytesMax);
    await this.#reader.forget();
    if (absent.length === positions.length) return read;
    const messages: Message[] = [];
    let next = 0;
    for (const message of inMemory) {
      if (message === undefined && next === read.length) break;
      messages.push(message ?? (read[next++] as Message));
    }
    return messages;
  }

  // ---------------------------------------------------------------- failing, healing, closing

  /**
   * J5: after a failed write or sync nobody knows what is on the disk, so nothing is promised until the store has proved
   * itself again. Whoever waits gets the error.
   */
  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new BrokerError(
      'STORE_FAILED',
      `The journal in ${this.#options.directory} can't be written (${messageOf(cause)}), so nothing is accepted for now.`,
      {
        severity: 'broker',
        cure: 'Cure the disk: it is tried again by itself, and what was confirmed is kept.',
        cause,
      },
    );
    for (const callback of this.#filler.takeWaiting()) tell(callback, this.#failure);
    this.#scheduleHealing();
    this.#report(this.#failure);
  }

  #scheduleHealing(): void {
    if (this.#closing !== undefined) return;
    this.#healTimer = this.#options.clock.setTimer(this.#healDelayMs, () => {
      this.#healDelayMs = Math.min(HEAL_DELAY_MS_MAX, this.#healDelayMs * 2);
      this.#healing = this.#writer
        .heal()
        // The reason is the same as before, or as good: it is shown by `failure`, and each publisher gets it.
        .catch(() => this.#scheduleHealing())
        .finally(() => (this.#healing = undefined));
    });
  }

  /** All that was under way is durable, in a segment that was read again. */
  #healed(): void {
    this.#failure = undefined;
    this.#healDelayMs = HEAL_DELAY_MS;
    void this.#reader.forget(this.#writer.segment);
    for (const requeue of this.#requeuedWhileFailed.values()) this.#requeue(requeue);
    this.#requeuedWhileFailed.clear();
    if (!this.#filler.open.isEmpty) this.#filler.scheduleSettlements();
    tell(() => this.#options.onHealed?.());
  }

  #report(error: Error): void {
    tell(() => this.#options.onFailure(error));
  }

  #trouble(what: string, cause: unknown): void {
    this.#report(
      new BrokerError('STORE_TROUBLE', `${what}, in ${this.#options.directory} (${messageOf(cause)}).`, {
        severity: 'broker',
        cure: 'Look after the disk. Nothing is lost, and messages are accepted; only disk space or time is wasted.',
        cause,
      }),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#healTimer?.cancel();
    await this.#healing;
    await this.#disk.close();
    await this.#reclaimer.close();
    while (this.#failure === undefined && !(this.#filler.open.isEmpty && this.#writer.isIdle)) {
      if (!this.#filler.open.isEmpty) this.#filler.close();
      this.#writer.pump();
      await this.#writer.idle();
    }
    this.#filler.cancel();
    await this.#indexing;
    await this.#reader.close();
    await this.#writer.close();
    await this.#mark.close();
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** A caller's bug must neither be taken for a failed disk nor keep the others from being told. */
function tell(callback: DurableCallback, failure?: Error): void {
  try {
    callback(failure);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
