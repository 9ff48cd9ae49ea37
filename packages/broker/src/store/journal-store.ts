import type { Clock, Timer } from '../clock.js';
import { BrokerError, messageOf } from '../errors.js';
import { isPersistent, type Message } from '../message/message.js';
import { ByteWriter } from '../message/table-codec.js';
import { BodyCache } from './body-cache.js';
import { writeSnapshot } from './definition-snapshot.js';
import { DurableMark } from './durable-mark.js';
import type { File, FileSystem } from './file-system.js';
import { TransientMessages } from './memory-store.js';
import type {
  Appended,
  DurableCallback,
  MessageStore,
  Recovered,
  Residents,
  StoredEntry,
} from './message-store.js';
import {
  type MoveRecord,
  offsetOf,
  type Position,
  positionOf,
  readCopy,
  readMove,
  readPublish,
  RECORD_TYPE,
  segmentOf,
  writeCommit,
  writeCopy,
  writeDefinition,
  writeMove,
  writePublish,
  writeRequeue,
  writeSettlements,
} from './record.js';
import { assertStorable } from './storable.js';
import { recoverJournal, type RecoveredJournal } from './recovery.js';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentFileName, segmentNumberOf } from './segment.js';
import { recordsOf, SegmentReader } from './segment-reader.js';

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
  /** Told once, when a write or sync has failed and nothing is accepted any more (J5). */
  readonly onFailure: (error: Error) => void;
}

interface SegmentState {
  readonly number: number;
  /** Messages in queues whose record or body is in this segment. */
  live: number;
  /** Messages that its records put into queues, settled or not. */
  messages: number;
  /** Up to the end of its last closed commit. */
  bytes: number;
  lastDefinitionSequence: number;
}

/** What is written and synced together: one write, one fdatasync (J2). */
interface Commit {
  readonly segment: number;
  readonly start: number;
  readonly out: ByteWriter;
  readonly settledQueueIds: number[];
  readonly settledSequences: number[];
  /** Positions that are no longer needed by one queue once this commit is durable. */
  readonly released: Position[];
  readonly waiting: DurableCallback[];
}

const SETTLEMENTS_PER_RECORD = 4096;
const BUFFER_BYTES = 64 * 1024;
/** So much is written at once, without waiting for more, while the disk has nothing else to do. Bytes. */
const WORTH_WRITING_BYTES = 64 * 1024;
/** A commit that has grown to this is closed: the disk gains nothing from larger ones. Bytes. */
const COMMIT_BYTES_MAX = 1024 * 1024;
/** A buffer that one large commit made larger than this is not kept for the next. Bytes. */
const BUFFER_KEPT_BYTES_MAX = 4 * 1024 * 1024;

/**
 * {@link MessageStore} on disk: one append-only journal for all queues (docs/journal-format.md).
 *
 * Appends go to the open commit; one loop writes and syncs commit after commit. While one syncs, the next fills, so
 * that the more there is to do, the more share an fdatasync.
 */
export class JournalStore implements MessageStore {
  readonly #options: JournalOptions;
  readonly #transient = new TransientMessages();
  readonly #cache: BodyCache;
  readonly #reader: SegmentReader;
  /** Oldest first; the last is the one being written. */
  readonly #segments = new Map<number, SegmentState>();
  /** Where a moved message's body is, if it is not at the message's own position. */
  readonly #bodies = new Map<Position, { readonly bodyPosition: Position; queues: number }>();
  #definitions = new Map<string, unknown>();
  #snapshotThrough = 0;
  #nextSequence = 1;
  #file: File | undefined;
  #fileSegment = 0;
  #mark: DurableMark | undefined;
  #durableUpTo: Position = 0;
  #open!: Commit;
  /** Closed commits that are not durable yet, oldest first. */
  readonly #closed: Commit[] = [];
  /** The commit that is durable, but those who wait for it do not know yet. */
  #untold: Commit | undefined;
  readonly #spareBuffers: ByteWriter[] = [];
  #loop: Promise<void> | undefined;
  #loopScheduled: NodeJS.Immediate | undefined;
  /** The open commit is closed when it has grown to this. */
  #commitBytesMax = COMMIT_BYTES_MAX;
  #settlementTimer: Timer | undefined;
  #residents: Residents | undefined;
  #compaction: Promise<void> | undefined;
  #compactions = 0;
  /** Segments up to this number were emptied; what is left in them are messages of transient queues. */
  #compactedUpTo = 0;
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#cache = new BodyCache(options.cacheBytesMax);
    this.#reader = new SegmentReader(options.fileSystem, options.directory);
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  // ---------------------------------------------------------------- opening

  async open(): Promise<Recovered> {
    const { fileSystem, directory } = this.#options;
    await fileSystem.makeDirectory(directory);
    const { mark, marked } = await DurableMark.open(fileSystem, `${directory}/durable`);
    this.#mark = mark;
    try {
      const journal = await recoverJournal(fileSystem, directory, marked);
      this.#adopt(journal);
      await this.#openLastSegment(journal);
      return { entries: entriesOf(journal), definitions: journal.definitions };
    } catch (error) {
      await mark.close();
      await this.#file?.close();
      throw error;
    }
  }

  #adopt(journal: RecoveredJournal): void {
    this.#definitions = new Map(journal.definitions);
    this.#snapshotThrough = journal.snapshotThrough;
    this.#nextSequence = journal.nextSequence;
    for (const { number, lastDefinitionSequence, messages, bytes } of journal.segments) {
      this.#segments.set(number, { number, live: 0, messages, bytes, lastDefinitionSequence });
    }
    for (const entries of journal.entries.values()) {
      for (const { position, bodyPosition } of entries.values()) this.#hold(position, bodyPosition, 1);
    }
  }

  /** Cuts the torn tail, and makes the first segment of a new journal. */
  async #openLastSegment(journal: RecoveredJournal): Promise<void> {
    const { fileSystem, directory } = this.#options;
    const last = journal.segments.at(-1);
    await this.#removeUnfinished(last?.number ?? 0);
    if (last === undefined) {
      await this.#makeSegment(1);
    } else {
      this.#fileSegment = last.number;
      this.#file = await fileSystem.open(`${directory}/${segmentFileName(last.number)}`, 'write');
      if (last.fileBytes > last.bytes) await this.#file.truncate(last.bytes);
      // What was read may have been in the page cache only: from here on it is relied upon.
      await this.#file.sync();
    }
    const start = last?.bytes ?? SEGMENT_HEADER_BYTES;
    this.#durableUpTo = positionOf(this.#fileSegment, start);
    this.#markFrom(journal.segments[0]?.number ?? this.#fileSegment);
    this.#open = this.#newCommit(this.#fileSegment, start);
  }

  /** A file after the last segment holds nothing: the process ended while it was made. */
  async #removeUnfinished(lastNumber: number): Promise<void> {
    const { fileSystem, directory } = this.#options;
    for (const name of await fileSystem.list(directory)) {
      if ((segmentNumberOf(name) ?? 0) > lastNumber) await fileSystem.remove(`${directory}/${name}`);
    }
    await fileSystem.syncDirectory(directory);
  }

  // ---------------------------------------------------------------- appending

  publish(message: Message, journaledQueueIds: readonly number[], otherQueues: number): Appended {
    this.#check(message, journaledQueueIds.length + otherQueues);
    const sequence = this.#nextSequence;
    if (journaledQueueIds.length === 0 || !isPersistent(message)) {
      const queues = journaledQueueIds.length + otherQueues;
      this.#nextSequence++;
      return { sequence, position: this.#transient.add(message, queues) };
    }
    const position = this.#append((out) => writePublish(out, sequence, journaledQueueIds, message));
    this.#nextSequence++;
    this.#keep(position, position, message, journaledQueueIds.length + otherQueues);
    this.#scheduleCommit();
    return { sequence, position };
  }

  move(
    from: { queueId: number; sequence: number; position: Position; durableQueue: boolean },
    message: Message,
    journaledQueueIds: readonly number[],
    otherQueues: number,
  ): Appended {
    if (!from.durableQueue || from.position < 0 || journaledQueueIds.length === 0 || !isPersistent(message)) {
      const moved = this.publish(message, journaledQueueIds, otherQueues);
      this.settle(from.queueId, from.sequence, from.position, from.durableQueue);
      return moved;
    }
    this.#check(message, journaledQueueIds.length + otherQueues);
    const sequence = this.#nextSequence;
    const bodyPosition = this.#bodies.get(from.position)?.bodyPosition ?? from.position;
    const position = this.#append((out) =>
      writeMove(out, {
        sequence,
        fromQueueId: from.queueId,
        fromSequence: from.sequence,
        bodyPosition,
        queueIds: journaledQueueIds,
        message,
      }),
    );
    this.#nextSequence++;
    this.#keep(position, bodyPosition, message, journaledQueueIds.length + otherQueues);
    this.#open.released.push(from.position);
    this.#scheduleCommit();
    return { sequence, position };
  }

  settle(queueId: number, sequence: number, position: Position, durableQueue: boolean): void {
    if (position < 0) return this.#transient.release(position);
    this.#open.released.push(position);
    if (durableQueue) {
      this.#open.settledQueueIds.push(queueId);
      this.#open.settledSequences.push(sequence);
    }
    return this.#scheduleSettlements();
  }

  requeue(queueId: number, sequence: number, position: Position, deliveryCount: number): void {
    if (position < 0 || this.#failure !== undefined) return;
    this.#append((out) => writeRequeue(out, queueId, sequence, deliveryCount));
    this.#scheduleSettlements();
  }

  define(key: string, value: unknown): void {
    this.#throwIfFailed();
    const sequence = this.#nextSequence++;
    this.#append((out) => writeDefinition(out, { sequence, key, value }));
    if (value === null) this.#definitions.delete(key);
    else this.#definitions.set(key, value);
    (this.#segments.get(this.#open.segment) as SegmentState).lastDefinitionSequence = sequence;
    this.#scheduleCommit();
  }

  whenDurable(callback: DurableCallback): void {
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      queueMicrotask(() => callback(failure));
    } else if (!isEmpty(this.#open)) {
      this.#open.waiting.push(callback);
      this.#scheduleCommit();
    } else {
      const last = this.#closed.at(-1);
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

  /** Writes one record into the open commit, whole or not at all, and returns its position. */
  #append(write: (out: ByteWriter) => void): Position {
    const { out } = this.#open;
    const start = out.end;
    try {
      write(out);
    } catch (error) {
      out.end = start;
      throw error;
    }
    const overflow = this.#open.start + out.end > this.#options.segmentBytesMax;
    const opensSegment = this.#open.start === SEGMENT_HEADER_BYTES && isFirst(start);
    if (!overflow || opensSegment) return positionOf(this.#open.segment, this.#open.start + start);
    // The record opens the next segment instead.
    const record = Buffer.from(out.buffer.subarray(start, out.end));
    out.end = start;
    this.#closeCommit(true);
    const at = this.#open.out.end;
    this.#open.out.bytes(record);
    return positionOf(this.#open.segment, SEGMENT_HEADER_BYTES + at);
  }

  #keep(position: Position, bodyPosition: Position, message: Message, queues: number): void {
    this.#cache.add(position, message, queues);
    this.#hold(position, bodyPosition, queues);
    this.#segment(position).messages += queues;
  }

  #segment(position: Position): SegmentState {
    const segment = this.#segments.get(segmentOf(position));
    if (segment === undefined)
      throw new Error(`no segment ${segmentOf(position)} for a message that needs it`);
    return segment;
  }

  /** Counts a message's record, and its body if that is elsewhere, as needed by so many queues. */
  #hold(position: Position, bodyPosition: Position, queues: number): void {
    this.#count(position, queues);
    if (bodyPosition === position) return;
    this.#count(bodyPosition, queues);
    const body = this.#bodies.get(position);
    if (body === undefined) this.#bodies.set(position, { bodyPosition, queues });
    else body.queues += queues;
  }

  #release(position: Position): void {
    this.#cache.release(position);
    this.#count(position, -1);
    const body = this.#bodies.get(position);
    if (body === undefined) return;
    this.#count(body.bodyPosition, -1);
    if (--body.queues === 0) this.#bodies.delete(position);
  }

  #count(position: Position, queues: number): void {
    this.#segment(position).live += queues;
  }

  // ---------------------------------------------------------------- committing

  #newCommit(segment: number, start: number): Commit {
    if (!this.#segments.has(segment)) {
      this.#segments.set(segment, {
        number: segment,
        live: 0,
        messages: 0,
        bytes: 0,
        lastDefinitionSequence: 0,
      });
    }
    const out = this.#spareBuffers.pop() ?? new ByteWriter(BUFFER_BYTES);
    out.end = 0;
    writeCommit(out, positionOf(segment, start));
    return {
      segment,
      start,
      out,
      settledQueueIds: [],
      settledSequences: [],
      released: [],
      waiting: [],
    };
  }

  /**
   * Settlements go last, so that they follow the records of the messages that they settle. A segment that they fill
   * is closed: the offsets of the next commit must not outgrow a position.
   */
  #closeCommit(closesSegment: boolean = false): void {
    const commit = this.#open;
    const { settledQueueIds: queueIds, settledSequences: sequences } = commit;
    for (let from = 0; from < queueIds.length; from += SETTLEMENTS_PER_RECORD) {
      const to = from + SETTLEMENTS_PER_RECORD;
      writeSettlements(commit.out, queueIds.slice(from, to), sequences.slice(from, to));
    }
    this.#closed.push(commit);
    const end = commit.start + commit.out.end;
    (this.#segments.get(commit.segment) as SegmentState).bytes = end;
    if (closesSegment || end >= this.#options.segmentBytesMax) {
      this.#open = this.#newCommit(commit.segment + 1, SEGMENT_HEADER_BYTES);
    } else {
      this.#open = this.#newCommit(commit.segment, end);
    }
  }

  #scheduleSettlements(): void {
    if (this.#loop !== undefined || this.#loopScheduled !== undefined) return;
    this.#settlementTimer ??= this.#options.clock.setTimer(this.#options.settlementDelayMs, () => {
      this.#settlementTimer = undefined;
      this.#scheduleCommit();
    });
  }

  /** A small commit starts after all that is ready to run now has run, so that it takes all of it along. */
  #scheduleCommit(): void {
    if (this.#failure !== undefined) return;
    if (this.#open.out.end >= this.#commitBytesMax) this.#closeCommit();
    if (this.#loop !== undefined) return;
    if (this.#closed.length > 0 || this.#open.out.end >= WORTH_WRITING_BYTES) return this.#startLoop();
    if (this.#loopScheduled !== undefined) return;
    this.#loopScheduled = setImmediate(() => {
      this.#loopScheduled = undefined;
      this.#startLoop();
    });
  }

  #startLoop(): void {
    clearImmediate(this.#loopScheduled);
    this.#loopScheduled = undefined;
    this.#settlementTimer?.cancel();
    this.#settlementTimer = undefined;
    this.#loop ??= this.#commitAll()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#loop = undefined;
        if (this.#failure === undefined && !isEmpty(this.#open)) this.#scheduleSettlements();
        // What came between its last look and now found it running, and left it to it.
        if (this.#closed.length > 0 || this.#open.waiting.length > 0) this.#scheduleCommit();
      });
  }

  /**
   * Until nobody waits any more; settlements alone do not keep it going, they have time. The disk gets the next commit
   * before those who waited for the last one are told: what they do then, it does meanwhile.
   */
  async #commitAll(): Promise<void> {
    if (!isEmpty(this.#open)) this.#closeCommit();
    try {
      for (;;) {
        const commit = this.#nextCommit();
        if (commit === undefined) {
          if (this.#untold === undefined) return;
          this.#tellDurable();
        } else {
          const writing = this.#writeCommit(commit);
          this.#tellDurable();
          await writing;
          this.#untold = this.#closed.shift();
        }
        await this.#reclaim();
        this.#compactIfWorthwhile();
      }
    } finally {
      // Reclaiming may have failed: what is durable is durable, and nobody else would tell.
      this.#tellDurable();
    }
  }

  #tellDurable(): void {
    const commit = this.#untold;
    this.#untold = undefined;
    if (commit !== undefined) this.#afterCommit(commit);
  }

  /**
   * Commits are about half of all that is under way: if one took it all, disk and publishers would wait for each other
   * in turn.
   */
  #nextCommit(): Commit | undefined {
    if (this.#closed.length === 0 && this.#open.waiting.length > 0) this.#closeCommit();
    const underWay = this.#closed.reduce((bytes, { out }) => bytes + out.end, this.#open.out.end);
    this.#commitBytesMax = Math.min(COMMIT_BYTES_MAX, Math.max(WORTH_WRITING_BYTES, underWay / 2));
    return this.#closed[0];
  }

  /** J1: resolves only when the commit, and the name of its segment, are on the disk. */
  async #writeCommit(commit: Commit): Promise<void> {
    if (commit.segment !== this.#fileSegment) await this.#makeSegment(commit.segment);
    const file = this.#file as File;
    await file.writeDurably(commit.out.buffer.subarray(0, commit.out.end), commit.start);
    this.#durableUpTo = positionOf(commit.segment, commit.start + commit.out.end);
    this.#mark?.write(this.#durableUpTo);
  }

  #afterCommit(commit: Commit): void {
    for (const position of commit.released) this.#release(position);
    this.#cache.trim(this.#durableUpTo);
    if (commit.out.buffer.length <= BUFFER_KEPT_BYTES_MAX) this.#spareBuffers.push(commit.out);
    for (const callback of commit.waiting) tell(callback);
  }

  /** The segment before is whole and synced: a segment exists only when all before it is durable. */
  async #makeSegment(number: number): Promise<void> {
    const { fileSystem, directory } = this.#options;
    const file = await fileSystem.open(`${directory}/${segmentFileName(number)}`, 'create');
    try {
      const previousEnd = offsetOf(this.#durableUpTo);
      await file.write(encodeSegmentHeader({ number, firstSequence: this.#nextSequence, previousEnd }), 0);
      await file.sync();
      await fileSystem.syncDirectory(directory);
    } catch (error) {
      await file.close();
      throw error;
    }
    const previous = this.#file;
    this.#file = file;
    this.#fileSegment = number;
    await previous?.close();
  }

  // ---------------------------------------------------------------- reclaiming

  /**
   * Removes settled segments from the oldest on, and each removal is durable before the next. So a settlement's
   * record outlives its message's: it lies in the same segment or a later one (J6).
   */
  async #reclaim(): Promise<void> {
    const { fileSystem, directory } = this.#options;
    for (const segment of this.#segments.values()) {
      if (segment.live > 0 || segment.number >= this.#fileSegment) return;
      if (segment.lastDefinitionSequence > this.#snapshotThrough) await this.#snapshot();
      this.#markFrom(segment.number + 1);
      await this.#mark?.sync();
      await this.#reader.forget(segment.number);
      await fileSystem.remove(`${directory}/${segmentFileName(segment.number)}`);
      await fileSystem.syncDirectory(directory);
      this.#segments.delete(segment.number);
    }
  }

  #markFrom(firstSegment: number): void {
    const mark = this.#mark as DurableMark;
    mark.firstSegment = firstSegment;
    mark.write(this.#durableUpTo);
  }

  compactFor(residents: Residents): void {
    this.#residents = residents;
  }

  /** How often a segment was emptied so that it could go. */
  get compactions(): number {
    return this.#compactions;
  }

  /**
   * J7: the journal takes at most twice what is alive in it, and two segments. If it takes more, the oldest segment is
   * emptied. Always the oldest: so settlements keep outliving their messages (J6), and what has stayed alive for long is
   * brought behind the settled segments, which then go for nothing.
   */
  #compactIfWorthwhile(): void {
    const [oldest] = this.#segments.values();
    if (this.#residents === undefined || this.#compaction !== undefined || oldest === undefined) return;
    if (oldest.number >= this.#fileSegment || oldest.number <= this.#compactedUpTo) return;
    if (this.#closing !== undefined || this.#failure !== undefined) return;
    let bytes = 0;
    let liveBytes = 0;
    for (const segment of this.#segments.values()) {
      bytes += segment.bytes;
      liveBytes += (segment.bytes * segment.live) / Math.max(1, segment.messages, segment.live);
    }
    if (bytes <= 2 * liveBytes + 2 * this.#options.segmentBytesMax) return;
    this.#compactedUpTo = oldest.number;
    const { fileSystem, directory } = this.#options;
    this.#compaction = this.#bringForward(
      this.#residents,
      oldest.number,
      `${directory}/${segmentFileName(oldest.number)}`,
      fileSystem,
    )
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#compaction = undefined;
        this.#compactions++;
        // What comes next may be worthwhile as well.
        if (this.#failure === undefined) this.#scheduleCommit();
      });
  }

  /** Part by part, each durable before the next is read: publishers share the disk with it, and memory is bounded. */
  async #bringForward(
    residents: Residents,
    number: number,
    path: string,
    fileSystem: FileSystem,
  ): Promise<void> {
    for await (const { record, offset } of recordsOf(fileSystem, path)) {
      if (this.#closing !== undefined) return;
      const position = positionOf(number, offset);
      if (record.type === RECORD_TYPE.publish || record.type === RECORD_TYPE.copy) {
        const isCopy = record.type === RECORD_TYPE.copy;
        const { sequence, queueIds, message } = (isCopy ? readCopy : readPublish)(record.payload);
        this.#copy(residents, { sequence, queueIds, position }, message);
      } else if (record.type === RECORD_TYPE.move) {
        await this.#copyMoved(residents, position, readMove(record.payload));
      }
      if (this.#open.out.end >= WORTH_WRITING_BYTES) await this.#durable();
    }
    // Bodies in this segment of messages that were moved, and lie in later ones.
    for (const [position, { bodyPosition }] of this.#bodies) {
      if (this.#closing !== undefined) return;
      if (segmentOf(bodyPosition) !== number) continue;
      await this.#copyMoved(residents, position, await this.#reader.readMove(position));
    }
    await this.#durable();
  }

  async #copyMoved(residents: Residents, position: Position, move: MoveRecord): Promise<void> {
    const { sequence, queueIds } = move;
    if (!queueIds.some((queueId) => residents.find(queueId, sequence)?.position === position)) return;
    const [message] = await this.read([position]);
    this.#copy(residents, { sequence, queueIds, position }, message as Message);
  }

  /** In one go from the question to the append: a settlement comes before, and is seen, or after, and follows the copy. */
  #copy(
    residents: Residents,
    from: { readonly sequence: number; readonly queueIds: readonly number[]; readonly position: Position },
    message: Message,
  ): void {
    const { sequence, position } = from;
    const queueIds = from.queueIds.filter(
      (queueId) => residents.find(queueId, sequence)?.position === position,
    );
    if (queueIds.length === 0) return;
    this.#throwIfFailed();
    // Its own bytes: the part of the file that it was read from must not stay in memory for it.
    const kept = this.peek(position) ?? { ...message, body: Buffer.from(message.body) };
    const deliveryCounts = queueIds.map((queueId) => residents.find(queueId, sequence)?.deliveryCount ?? 0);
    const copy = this.#append((out) => writeCopy(out, { sequence, queueIds, deliveryCounts, message: kept }));
    this.#keep(copy, copy, kept, queueIds.length);
    for (const queueId of queueIds) {
      residents.relocate(queueId, sequence, copy);
      this.#open.released.push(position);
    }
  }

  #durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
    });
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

  // ---------------------------------------------------------------- failing and closing

  /**
   * J5: after a failed write or sync nobody knows what is on the disk, so nothing is promised any more. Whoever
   * waits gets the error; the next start reads what is really there.
   */
  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const failure = new BrokerError(
      'STORE_FAILED',
      `The journal in ${this.#options.directory} can't be written (${messageOf(cause)}), so nothing more is accepted.`,
      { severity: 'broker', cure: 'Cure the disk, then start again: what was confirmed is kept.', cause },
    );
    this.#failure = failure;
    for (const commit of [...this.#closed, this.#open]) {
      for (const callback of commit.waiting.splice(0)) tell(callback, failure);
    }
    this.#options.onFailure(failure);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#settlementTimer?.cancel();
    if (this.#loopScheduled !== undefined) clearImmediate(this.#loopScheduled);
    this.#loopScheduled = undefined;
    await this.#compaction;
    await this.#loop;
    while (this.#failure === undefined && this.#hasWork()) {
      this.#startLoop();
      await this.#loop;
    }
    await this.#reader.close();
    await this.#file?.close();
    await this.#mark?.close();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** One loop may have started as the one before ended. */
  #hasWork(): boolean {
    return this.#loop !== undefined || this.#closed.length > 0 || !isEmpty(this.#open);
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

function isEmpty(commit: Commit): boolean {
  return isFirst(commit.out.end) && commit.settledQueueIds.length === 0 && commit.released.length === 0;
}

const COMMIT_RECORD_BYTES = 20;

/** Whether nothing but the commit's own record is before `at`. */
function isFirst(at: number): boolean {
  return at <= COMMIT_RECORD_BYTES;
}

function entriesOf(journal: RecoveredJournal): Map<number, StoredEntry[]> {
  const sorted = new Map<number, StoredEntry[]>();
  for (const [queueId, entries] of journal.entries) {
    if (entries.size === 0) continue;
    sorted.set(
      queueId,
      [...entries.values()].toSorted((a, b) => a.sequence - b.sequence),
    );
  }
  return sorted;
}
