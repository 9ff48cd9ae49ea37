import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import { BodyCache } from './body-cache.js';
import type { Commit } from './commit.js';
import { CommitFiller } from './commit-filler.js';
import { CommitWriter } from './commit-writer.js';
import type { CompactionInit } from './compaction.js';
import { writeSnapshot } from './definition-snapshot.js';
import { DiskWatch } from './disk-watch.js';
import { DurableMark } from './durable-mark.js';
import { IndexWriter } from './index-writer.js';
import { JournalAppender } from './journal-appender.js';
import { JournalHealth, tell } from './journal-health.js';
import type { JournalOptions } from './journal-options.js';
import { openLastSegment } from './last-segment.js';
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
import { Reclaimer } from './reclaimer.js';
import { type Position, type RequeueRecord, segmentOf } from './record.js';
import { recoverJournal, type RecoveredJournal } from './recovery.js';
import { randomSegmentKey } from './segment.js';
import { SegmentReader } from './segment-reader.js';
import { SegmentTable } from './segment-table.js';
import { assertMarks, assertStorable } from './storable.js';

const BACKLOG = `More than ${LIMITS.underWayBytesMax / 2 ** 20} MiB are on their way to the disk; publishing waits until it has caught up.`;

/**
 * {@link MessageStore} on disk: one append-only journal for all queues (docs/journal-format.md).
 *
 * Appends go to the open commit; the commit writer writes and syncs commit after commit. While some are under way,
 * the next fills: the more there is to do, the more share an fdatasync.
 */
export class JournalStore implements MessageStore {
  readonly #options: JournalOptions;
  readonly #cache: BodyCache;
  readonly #reader: SegmentReader;
  readonly #table = new SegmentTable();
  readonly #disk: DiskWatch;
  readonly #health: JournalHealth;
  readonly #indexes: IndexWriter;
  #definitions = new Map<string, unknown>();
  #snapshotThrough = 0;
  #mark!: DurableMark;
  #writer!: CommitWriter;
  #reclaimer!: Reclaimer;
  #filler!: CommitFiller;
  #appender!: JournalAppender;
  #residents: Residents | undefined;
  /** The last word on each message that came back to its queue while the disk was failed. */
  readonly #requeuedWhileFailed = new Map<string, RequeueRecord>();
  #closing: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    const { fileSystem, clock, directory, diskFreeBytesMin: freeBytesMin, onBlocked } = options;
    this.#cache = new BodyCache(options.cacheBytesMax);
    this.#reader = new SegmentReader(fileSystem, directory, (message, position, bodyPosition) =>
      this.#appender.noteMoved(message, position, bodyPosition),
    );
    this.#disk = new DiskWatch({
      fileSystem,
      clock,
      directory,
      freeBytesMin,
      onChange: (reason) => onBlocked?.(reason),
    });
    this.#health = new JournalHealth({
      clock,
      directory,
      heal: () => this.#writer.heal(),
      onFailed: (failure) => {
        for (const callback of this.#filler.takeWaiting()) tell(callback, failure);
      },
      onReport: (error) => options.onFailure(error),
    });
    const onTrouble = (what: string, cause: unknown): void => this.#health.trouble(what, cause);
    this.#indexes = new IndexWriter({ fileSystem, directory, onTrouble });
  }

  get failure(): Error | undefined {
    return this.#health.failure;
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
        this.#indexes.writeNow(number, index, of),
      );
      this.#makeParts(mark, journal.nextSequence);
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

  #makeParts(mark: DurableMark, nextSequence: number): void {
    const { fileSystem, clock, directory, segmentBytesMax, settlementDelayMs } = this.#options;
    const table = this.#table;
    const health = this.#health;
    const writer = new CommitWriter({
      fileSystem,
      clock,
      directory,
      mark,
      nextSequence: () => this.#appender.nextSequence,
      newKey: this.#options.newSegmentKey ?? randomSegmentKey,
      onRoom: () => this.#filler.closeIfAwaited(),
      onDurable: (commit) => this.#afterCommit(commit),
      onBacklog: (isThere) => this.#options.onBacklog?.(isThere ? BACKLOG : undefined),
      onSealed: (number, of) => {
        this.#indexes.write(number, of, {
          indexOf: (segment) => this.#filler.indexOf(segment),
          forgetIndex: (segment) => this.#filler.forgetIndex(segment),
          isKept: (segment) => table.isKept(segment),
        });
        this.#reclaimer.measureOne();
      },
      onFailure: (cause) => health.fail(cause),
      onHealed: () => this.#healed(),
      onMarkTrouble: (cause) => health.trouble("The mark 'durable' can't be written", cause),
    });
    this.#writer = writer;
    const isFailed = (): boolean => health.failure !== undefined;
    this.#filler = new CommitFiller({ clock, segmentBytesMax, settlementDelayMs, table, writer, isFailed });
    this.#reclaimer = new Reclaimer({
      fileSystem,
      clock,
      directory,
      segmentBytesMax,
      table,
      reader: this.#reader,
      mark,
      writtenSegment: () => writer.segment,
      snapshotThrough: () => this.#snapshotThrough,
      snapshot: () => this.#snapshot(),
      compaction: () => this.#compactionInit(),
      failed: isFailed,
      onTrouble: (what, cause) => health.trouble(what, cause),
    });
    this.#appender = new JournalAppender({
      table,
      health,
      cache: this.#cache,
      filler: this.#filler,
      isLeaving: (segment) => this.#reclaimer.isLeaving(segment),
      nextSequence,
    });
  }

  #adopt(journal: RecoveredJournal): void {
    this.#definitions = new Map(journal.definitions);
    this.#snapshotThrough = journal.snapshotThrough;
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
    const publication = { message, journaledQueueIds, otherQueues, marks };
    this.#check(publication);
    return this.#appender.publish(publication);
  }

  transact(publications: readonly Publication[], settled: readonly Held[]): Appended[] {
    for (const publication of publications) this.#check(publication);
    return this.#appender.transact(publications, settled);
  }

  move(
    from: Held & { readonly message: Message },
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
    marks?: Marks,
  ): Appended {
    const to = { message, journaledQueueIds, otherQueues, marks };
    this.#check(to);
    return this.#appender.move(from, to);
  }

  #check({ message, journaledQueueIds, otherQueues, marks }: Publication): void {
    this.#health.assertAccepting();
    assertStorable(message, journaledQueueIds.length + otherQueues, marks);
  }

  settle(queueId: number, sequence: number, position: Position): void {
    this.#appender.settle(queueId, sequence, position);
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
    if (this.#health.failure === undefined) this.#appender.requeue(requeue);
    else this.#requeuedWhileFailed.set(`${queueId} ${sequence}`, requeue);
  }

  discard(queueId: number, through: number, kept: readonly number[], positions: Iterable<Position>): void {
    this.#health.assertAccepting();
    this.#appender.discard({ queueId, through, kept }, positions);
  }

  define(key: string, value: unknown): void {
    this.#health.assertAccepting();
    this.#appender.define(key, value);
    if (value === null) this.#definitions.delete(key);
    else this.#definitions.set(key, value);
  }

  whenDurable(callback: DurableCallback): void {
    const { failure } = this.#health;
    if (failure !== undefined) queueMicrotask(() => callback(failure));
    else this.#filler.whenDurable(callback);
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
      copy: (resident, message) => this.#appender.copy(residents, resident, message),
      durable: () =>
        new Promise((resolve, reject) => {
          this.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
        }),
      stopped: () => this.#health.isClosing,
    };
  }

  async #snapshot(): Promise<void> {
    const { fileSystem, directory } = this.#options;
    const through = this.#appender.nextSequence - 1;
    await writeSnapshot(fileSystem, directory, { through, definitions: this.#definitions });
    this.#snapshotThrough = through;
  }

  // ---------------------------------------------------------------- reading

  peek(position: Position): Message | undefined {
    return this.#appender.peek(position);
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

  // ---------------------------------------------------------------- healing, closing

  /** All that was under way is durable, in a segment that was read again. */
  #healed(): void {
    this.#health.healed();
    void this.#reader.forget(this.#writer.segment);
    for (const requeue of this.#requeuedWhileFailed.values()) this.#appender.requeue(requeue);
    this.#requeuedWhileFailed.clear();
    if (!this.#filler.open.isEmpty) this.#filler.scheduleSettlements();
    tell(() => this.#options.onHealed?.());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#health.close();
    await this.#disk.close();
    await this.#reclaimer.close();
    while (this.#health.failure === undefined && !(this.#filler.open.isEmpty && this.#writer.isIdle)) {
      if (!this.#filler.open.isEmpty) this.#filler.close();
      this.#writer.pump();
      await this.#writer.idle();
    }
    this.#filler.cancel();
    await this.#indexes.idle();
    await this.#reader.close();
    await this.#writer.close();
    await this.#mark.close();
    if (this.#health.failure !== undefined) throw this.#health.failure;
  }
}
