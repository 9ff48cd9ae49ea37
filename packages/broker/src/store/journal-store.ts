import type { Clock, Timer } from '../clock.js';
import { BrokerError, messageOf } from '../errors.js';
import { LIMITS } from '../limits.js';
import { isPersistent, type Message } from '../message/message.js';
import { ByteWriter } from '../message/table-codec.js';
import { BodyCache } from './body-cache.js';
import { Commit } from './commit.js';
import { CommitWriter } from './commit-writer.js';
import type { CompactionInit, Resident } from './compaction.js';
import { writeSnapshot } from './definition-snapshot.js';
import { DiskWatch } from './disk-watch.js';
import { DurableMark } from './durable-mark.js';
import type { File, FileSystem } from './file-system.js';
import { type IndexedSegment, indexNumberOf, writeIndexFile } from './index-file.js';
import { TransientMessages } from './memory-store.js';
import type {
  Appended,
  DurableCallback,
  Held,
  MessageStore,
  Publication,
  Recovered,
  Residents,
} from './message-store.js';
import { PLANTED } from './planted.js';
import { Reclaimer } from './reclaimer.js';
import {
  beginRecord,
  endRecord,
  offsetOf,
  OWN_BODY,
  type Position,
  positionOf,
  RECORD_HEADER_BYTES,
  RECORD_TYPE,
  segmentOf,
  writeCopy,
  writeDefinition,
  writeDiscard,
  writeMove,
  writePublish,
  writeRequeue,
  writeSettlements,
} from './record.js';
import { recoverJournal, type RecoveredJournal } from './recovery.js';
import { SEGMENT_HEADER_BYTES, segmentFileName, segmentNumberOf } from './segment.js';
import { SegmentIndex } from './segment-index.js';
import { SegmentReader } from './segment-reader.js';
import { type SegmentState, SegmentTable } from './segment-table.js';
import { assertStorable } from './storable.js';

export interface JournalOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  /** A segment closes when its next commit would exceed this. Bytes. */
  readonly segmentBytesMax: number;
  /** Budget of the cache of recently published bodies. Bytes. */
  readonly cacheBytesMax: number;
  /** How long settlements wait for a publish to share a commit with. Milliseconds. */
  readonly settlementDelayMs: number;
  /** Below this much free space on the disk `blocked` says so. Bytes; 0 never does. */
  readonly diskFreeBytesMin: number;
  /** Told of each failure (STORE_FAILED), and of trouble that costs no promise (STORE_TROUBLE). */
  readonly onFailure: (error: Error) => void;
  /** Told when the store has proved itself after a failure, and accepts again (J5). @default nothing is done */
  readonly onHealed?: () => void;
  /** Told when publishers should wait, with the reason, and with undefined when no more. @default nothing is done */
  readonly onBlocked?: (reason: string | undefined) => void;
}

/** So much is written at once, without waiting for more, while the disk has room. Bytes. */
const WORTH_WRITING_BYTES = 64 * 1024;
/** A commit that has grown to this is closed: the disk gains nothing from larger ones. Bytes. */
const COMMIT_BYTES_MAX = 1024 * 1024;
/** Of all that is under way so much goes into one commit: two are on their way to the disk while the third fills. */
const COMMIT_SHARE = 1 / 3;
/** A buffer that one large commit made larger than this is not kept for the next. Bytes. */
const BUFFER_KEPT_BYTES_MAX = 4 * 1024 * 1024;
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
  /** Of segments that have no index on the disk yet. */
  readonly #indexes = new Map<number, SegmentIndex>();
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
  #open!: Commit;
  /** Of the open commit's segment. */
  #index!: SegmentIndex;
  #openSegment!: SegmentState;
  readonly #spareBuffers: ByteWriter[] = [];
  #writeScheduled: NodeJS.Immediate | undefined;
  #settlementTimer: Timer | undefined;
  #indexing: Promise<void> = Promise.resolve();
  #residents: Residents | undefined;
  #failure: BrokerError | undefined;
  #healTimer: Timer | undefined;
  #healing: Promise<void> | undefined;
  #healDelayMs = HEAL_DELAY_MS;
  /** The last delivery counts that came while the disk was failed. */
  readonly #countsWhileFailed = new Map<
    string,
    readonly [queueId: number, sequence: number, count: number]
  >();
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
      await this.#openLastSegment(journal);
      await this.#disk.look();
      return { entries: journal.entries, definitions: journal.definitions };
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
      onRoom: () => this.#closeAwaited(),
      onDurable: (commit) => this.#afterCommit(commit),
      onSealed: (number, of) => this.#writeIndex(number, of),
      onFailure: (cause) => this.#fail(cause),
      onHealed: () => this.#healed(),
      onMarkTrouble: (cause) => this.#trouble("The mark 'durable' can't be written", cause),
    });
    this.#writer = writer;
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
      failed: () => this.#failure !== undefined,
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

  /** Cuts the torn tail, and makes the first segment of a new journal. */
  async #openLastSegment(journal: RecoveredJournal): Promise<void> {
    const { segments, lastIndex, lastHeader } = journal;
    const { fileSystem, directory } = this.#options;
    const last = segments.at(-1);
    // What was read of the mark may not be on the disk either, and what it calls done with goes now.
    await this.#mark.forgetBefore(segments[0]?.number ?? 1);
    await this.#removeUnfinished();
    if (last === undefined || lastHeader === undefined) {
      await this.#writer.begin(1);
    } else {
      const file = await fileSystem.open(`${directory}/${segmentFileName(last.number)}`, 'write');
      this.#writer.resume({ number: last.number, id: lastHeader.checksum, file, end: last.bytes });
      if (last.fileBytes > last.bytes) await file.truncate(last.bytes);
      await this.#prove(file, Math.max(0, journal.provenUpTo - positionOf(last.number, 0)), last.bytes);
    }
    const { segment, durableUpTo } = this.#writer;
    await this.#mark.write(durableUpTo);
    if (lastIndex !== undefined) this.#indexes.set(segment, lastIndex);
    this.#open = this.#newCommit(segment, offsetOf(durableUpTo));
  }

  /**
   * What was read may have been in the page cache only, and, after a sync that failed in another life, in pages that no
   * sync brings to the disk any more. From here on it is relied upon: so what nothing proves to be there is written again.
   */
  async #prove(file: File, from: number, to: number): Promise<void> {
    if (to > from && !PLANTED.tailNotProven) {
      const tail = Buffer.allocUnsafe(to - from);
      await file.write(tail.subarray(0, await file.read(tail, from)), from);
    }
    await file.sync();
  }

  /** Files that belong to no segment hold nothing: the process ended while they were made, or removed. */
  async #removeUnfinished(): Promise<void> {
    const { fileSystem, directory } = this.#options;
    for (const name of await fileSystem.list(directory)) {
      const indexed = indexNumberOf(name);
      const orphaned = indexed !== undefined && !this.#table.has(indexed);
      const number = segmentNumberOf(name);
      const unfinished = number !== undefined && !this.#table.has(number);
      if (orphaned || unfinished || name.endsWith('.segment.new'))
        await fileSystem.remove(`${directory}/${name}`);
    }
    await fileSystem.syncDirectory(directory);
  }

  // ---------------------------------------------------------------- appending

  publish(message: Message, journaledQueueIds: readonly number[], otherQueues: number): Appended {
    this.#check(message, journaledQueueIds.length + otherQueues);
    const publication = { message, journaledQueueIds, otherQueues };
    if (journaledQueueIds.length === 0 || !isPersistent(message))
      return this.#appended(publication, undefined);
    const sequence = this.#nextSequence;
    const position = this.#append((out) => writePublish(out, sequence, journaledQueueIds, message));
    const appended = this.#appended(publication, position);
    this.#scheduleWrite();
    return appended;
  }

  /** Queues that no crash survives have a message of their own, so that they keep no file alive. */
  #alsoTransient(message: Message, otherQueues: number): Position {
    return otherQueues === 0 ? 0 : this.#transient.add(message, otherQueues);
  }

  transact(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    for (const { message, journaledQueueIds, otherQueues } of publications) {
      this.#check(message, journaledQueueIds.length + otherQueues);
    }
    const out = new ByteWriter();
    const start = beginRecord(out, RECORD_TYPE.transaction);
    const offsets = publications.map(({ message, journaledQueueIds }, i) => {
      if (journaledQueueIds.length === 0 || !isPersistent(message)) return undefined;
      const offset = out.end;
      writePublish(out, this.#nextSequence + i, journaledQueueIds, message);
      return offset;
    });
    const held = settled.filter(({ position }) => position >= 0);
    if (held.length > 0) {
      writeSettlements(
        out,
        held.map(({ queueId }) => queueId),
        held.map(({ sequence }) => sequence),
      );
    }
    endRecord(out, start);
    if (out.end > LIMITS.transactionBytesMax) throw tooLarge(out.end);
    if (PLANTED.transactionSplit) return this.#split(publications, settled);
    const isEmpty = out.end === start + RECORD_HEADER_BYTES;
    const position = isEmpty ? 0 : this.#append((to) => to.bytes(out.buffer.subarray(0, out.end)));
    for (const one of held) this.#index.settle(one.queueId, one.sequence);
    for (const one of settled) this.#release(one.position);
    const appended = publications.map((publication, i) => {
      const offset = offsets[i];
      return this.#appended(publication, offset === undefined ? undefined : position + offset);
    });
    if (!isEmpty) this.#scheduleWrite();
    return appended;
  }

  /** Takes note of a message whose record is written at `position` already; of one that has none, without. */
  #appended(
    { message, journaledQueueIds, otherQueues }: Publication,
    position: Position | undefined,
  ): Appended {
    const sequence = this.#nextSequence++;
    if (position === undefined) {
      const inMemory = this.#transient.add(message, journaledQueueIds.length + otherQueues);
      return { sequence, position: inMemory, transientPosition: inMemory };
    }
    this.#index.publish(sequence, offsetOf(position), journaledQueueIds);
    this.#keep(position, message, journaledQueueIds.length);
    return { sequence, position, transientPosition: this.#alsoTransient(message, otherQueues) };
  }

  /** One queue has no more use for the message at `position` once the open commit is durable. */
  #release(position: Position): void {
    if (position < 0) return this.#transient.release(position);
    this.#cache.release(position);
    return this.#open.release(position, 1);
  }

  #split(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    const appended = publications.map((one) => {
      this.#closeCommit();
      return this.publish(one.message, one.journaledQueueIds, one.otherQueues);
    });
    for (const { queueId, sequence, position } of settled) this.settle(queueId, sequence, position);
    return appended;
  }

  move(
    from: Held & { readonly message: Message },
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
  ): Appended {
    if (from.position < 0 || journaledQueueIds.length === 0 || !isPersistent(message)) {
      const moved = this.publish(message, journaledQueueIds, otherQueues);
      this.settle(from.queueId, from.sequence, from.position);
      return moved;
    }
    this.#check(message, journaledQueueIds.length + otherQueues);
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
      message,
    };
    const position = this.#append((out) => writeMove(out, move));
    this.#nextSequence++;
    this.#index.move(sequence, offsetOf(position), journaledQueueIds, move);
    this.#keep(position, message, journaledQueueIds.length);
    if (!own) {
      this.#movedBodies.set(message, { position, bodyPosition });
      this.#table.borrow(segmentOf(position), segmentOf(bodyPosition));
    }
    this.#release(from.position);
    this.#scheduleWrite();
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
    this.#open.settle(queueId, sequence);
    this.#scheduleSettlements();
  }

  requeue(queueId: number, sequence: number, position: Position, deliveryCount: number): void {
    if (position < 0) return;
    if (this.#failure !== undefined) {
      this.#countsWhileFailed.set(`${queueId} ${sequence}`, [queueId, sequence, deliveryCount]);
      return;
    }
    this.#append((out) => writeRequeue(out, queueId, sequence, deliveryCount));
    this.#index.requeue(queueId, sequence, deliveryCount);
    this.#scheduleSettlements();
  }

  discard(queueId: number, through: number, kept: readonly number[], positions: Iterable<Position>): void {
    this.#throwIfFailed();
    this.#append((out) => writeDiscard(out, { queueId, through, kept }));
    this.#index.discard({ queueId, through, kept });
    for (const position of positions) this.#release(position);
    this.#scheduleWrite();
  }

  define(key: string, value: unknown): void {
    this.#throwIfFailed();
    const sequence = this.#nextSequence++;
    this.#append((out) => writeDefinition(out, { sequence, key, value }));
    this.#index.define({ sequence, key, value });
    this.#openSegment.lastDefinitionSequence = sequence;
    if (value === null) this.#definitions.delete(key);
    else this.#definitions.set(key, value);
    this.#scheduleWrite();
  }

  whenDurable(callback: DurableCallback): void {
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      queueMicrotask(() => callback(failure));
    } else if (!this.#open.isEmpty) {
      this.#open.waiting.push(callback);
      this.#scheduleWrite();
    } else {
      const last = this.#writer.last;
      if (last === undefined) queueMicrotask(callback);
      else last.waiting.push(callback);
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new BrokerError('CLOSED', 'The broker is closed.', { cure: 'Publish before it is closed.' });
    }
  }

  #check(message: Message, queues: number): void {
    this.#throwIfFailed();
    assertStorable(message, queues);
  }

  /** Writes one record into the open commit, whole or not at all, and returns its position: in the open segment. */
  #append(write: (out: ByteWriter) => void): Position {
    const { out, start: commitStart, segment } = this.#open;
    const opensSegment = commitStart === SEGMENT_HEADER_BYTES && this.#open.hasNoRecords;
    const start = out.end;
    try {
      write(out);
    } catch (error) {
      out.end = start;
      throw error;
    }
    const overflow = commitStart + out.end > this.#options.segmentBytesMax;
    if (!overflow || opensSegment) return positionOf(segment, commitStart + start);
    // The record opens the next segment instead.
    const record = Buffer.from(out.buffer.subarray(start, out.end));
    out.end = start;
    this.#closeCommit(true);
    const at = this.#open.out.end;
    this.#open.out.bytes(record);
    return positionOf(this.#open.segment, SEGMENT_HEADER_BYTES + at);
  }

  #keep(position: Position, message: Message, queues: number): void {
    this.#cache.add(position, message, queues);
    const segment = this.#openSegment;
    segment.live += queues;
    segment.messages += queues;
  }

  // ---------------------------------------------------------------- committing

  #newCommit(segment: number, start: number): Commit {
    if (!this.#table.has(segment)) {
      this.#table.add({ number: segment, messages: 0, bytes: start, lastDefinitionSequence: 0 });
    }
    if (!this.#indexes.has(segment)) this.#indexes.set(segment, new SegmentIndex());
    this.#index = this.#indexes.get(segment) as SegmentIndex;
    this.#openSegment = this.#table.get(segment);
    return new Commit(segment, start, this.#spareBuffers.pop());
  }

  /** A segment that its settlements fill is closed: the offsets of the next commit must not outgrow a position. */
  #closeCommit(closesSegment = false): void {
    const commit = this.#open;
    const { segment } = commit;
    const index = this.#index;
    commit.seal();
    this.#openSegment.bytes = commit.end;
    const rolls = closesSegment || commit.end >= this.#options.segmentBytesMax;
    this.#open = rolls
      ? this.#newCommit(segment + 1, SEGMENT_HEADER_BYTES)
      : this.#newCommit(segment, commit.end);
    this.#open.takeOver(commit);
    for (let i = 0; i < commit.settledQueueIds.length; i++) {
      index.settle(commit.settledQueueIds[i] as number, commit.settledSequences[i] as number);
    }
    this.#writer.add(commit);
  }

  #scheduleSettlements(): void {
    if (this.#failure !== undefined || this.#writeScheduled !== undefined || !this.#writer.isIdle) return;
    this.#settlementTimer ??= this.#options.clock.setTimer(this.#options.settlementDelayMs, () => {
      this.#settlementTimer = undefined;
      this.#write();
    });
  }

  /** A small commit starts after all that is ready to run now has run, so that it takes all of it along. */
  #scheduleWrite(): void {
    if (this.#failure !== undefined) return;
    if (this.#open.out.end >= this.#commitBytesMax()) this.#closeCommit();
    if (this.#writer.isFull) return;
    if (this.#open.out.end >= WORTH_WRITING_BYTES) return this.#write();
    if (this.#writeScheduled !== undefined) return;
    this.#writeScheduled = setImmediate(() => this.#write());
  }

  #write(): void {
    clearImmediate(this.#writeScheduled);
    this.#writeScheduled = undefined;
    this.#settlementTimer?.cancel();
    this.#settlementTimer = undefined;
    if (this.#failure !== undefined) return;
    if (!this.#open.isEmpty && !this.#writer.isFull) this.#closeCommit();
    this.#writer.pump();
  }

  /** The open commit is closed when it has grown to this. */
  #commitBytesMax(): number {
    const underWay = this.#writer.pendingBytes + this.#open.out.end;
    return Math.min(COMMIT_BYTES_MAX, Math.max(WORTH_WRITING_BYTES, underWay * COMMIT_SHARE));
  }

  /** Settlements alone do not keep the disk going: they have time. */
  #closeAwaited(): void {
    if (this.#open.waiting.length > 0) this.#closeCommit();
  }

  #afterCommit(commit: Commit): void {
    const { releasedSegments: segments, releasedCounts: counts } = commit;
    for (let i = 0; i < segments.length; i++)
      this.#table.count(segments[i] as number, -(counts[i] as number));
    this.#cache.trim(this.#writer.durableUpTo);
    this.#disk.written(commit.out.end);
    if (commit.out.buffer.length <= BUFFER_KEPT_BYTES_MAX) this.#spareBuffers.push(commit.out);
    for (const callback of commit.waiting) tell(callback);
    this.#reclaimer.look();
    if (!this.#open.isEmpty) this.#scheduleSettlements();
  }

  #writeIndex(number: number, of: IndexedSegment): void {
    const before = this.#indexing;
    this.#indexing = (async () => {
      await before;
      const index = this.#indexes.get(number);
      if (index !== undefined && this.#table.has(number)) await this.#writeIndexOf(number, index, of);
      this.#indexes.delete(number);
    })();
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
      openIndex: (segment) => this.#indexes.get(segment),
      borrowersOf: (segment) => this.#table.borrowersOf(segment),
      read: (positions) => this.read(positions),
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
    const kept = this.peek(position) ?? { ...message, body: Buffer.from(message.body) };
    const deliveryCounts = still.map((queueId) => residents.find(queueId, sequence)?.deliveryCount ?? 0);
    const copy = this.#append((out) =>
      writeCopy(out, { sequence, queueIds: still, deliveryCounts, message: kept }),
    );
    this.#index.copy(sequence, offsetOf(copy), still, deliveryCounts);
    this.#keep(copy, kept, resident.length);
    for (const queueId of resident) {
      residents.relocate(queueId, sequence, copy);
      this.#cache.release(position);
    }
    this.#open.release(position, resident.length);
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

  async read(positions: readonly Position[]): Promise<Message[]> {
    const messages = positions.map((position) => this.peek(position));
    const absent = positions.filter((_, i) => messages[i] === undefined);
    if (absent.length === 0) return messages as Message[];
    const read = await this.#reader.read(absent);
    await this.#reader.forget();
    let next = 0;
    return messages.map((message) => message ?? (read[next++] as Message));
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
    for (const commit of [...this.#writer.pending(), this.#open]) {
      for (const callback of commit.waiting.splice(0)) tell(callback, this.#failure);
    }
    this.#options.onFailure(this.#failure);
    this.#scheduleHealing();
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
    for (const [queueId, sequence, count] of this.#countsWhileFailed.values()) {
      this.requeue(queueId, sequence, 0, count);
    }
    this.#countsWhileFailed.clear();
    if (!this.#open.isEmpty) this.#scheduleSettlements();
    this.#options.onHealed?.();
  }

  #trouble(what: string, cause: unknown): void {
    this.#options.onFailure(
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
    this.#settlementTimer?.cancel();
    this.#healTimer?.cancel();
    await this.#healing;
    await this.#disk.close();
    await this.#reclaimer.close();
    while (this.#failure === undefined && !(this.#open.isEmpty && this.#writer.isIdle)) {
      if (!this.#open.isEmpty) this.#closeCommit();
      this.#writer.pump();
      await this.#writer.idle();
    }
    clearImmediate(this.#writeScheduled);
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

function tooLarge(bytes: number): BrokerError {
  return new BrokerError(
    'TRANSACTION_TOO_LARGE',
    `The transaction has ${bytes} bytes; the limit is ${LIMITS.transactionBytesMax}.`,
    { cure: 'Commit more often.' },
  );
}
