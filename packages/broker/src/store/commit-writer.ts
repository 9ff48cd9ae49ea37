import type { Clock, Timer } from '../clock.js';
import { systemCodeOf } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Commit } from './commit.js';
import type { DurableMark } from './durable-mark.js';
import type { File, FileSystem } from './file-system.js';
import type { IndexedSegment } from './index-file.js';
import { PLANTED } from './planted.js';
import { offsetOf, type Position, positionOf } from './record.js';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES, segmentFileName } from './segment.js';
import { rewriteSegment } from './segment-rewrite.js';

export interface CommitWriterInit {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  readonly mark: DurableMark;
  /** Sequences given from now on are not lower: for the header of a new segment. */
  readonly nextSequence: () => number;
  /** For the header of a new segment. */
  readonly newKey: () => number;
  /** There is room for one more commit: closes the open one, if somebody waits for it, by {@link CommitWriter.add}. */
  readonly onRoom: () => void;
  /** A commit, and all before it, are durable. In order. */
  readonly onDurable: (commit: Commit) => void;
  /** More is under way than is good for memory; and, later, it is not any more. */
  readonly onBacklog: (isThere: boolean) => void;
  /** A segment is whole and durable, and the next one is there. */
  readonly onSealed: (number: number, of: IndexedSegment) => void;
  /** A write or sync failed: nothing is written until {@link CommitWriter.heal}. Once, until then. */
  readonly onFailure: (cause: unknown) => void;
  /** After a failure everything that was under way is durable; more is written from now on. */
  readonly onHealed: () => void;
  /** The mark could not be written. It says less than it could, never too much. */
  readonly onMarkTrouble: (cause: unknown) => void;
}

/** A segment that is written on. */
export interface WrittenSegment {
  readonly number: number;
  /** The checksum of its header. */
  readonly id: number;
  readonly key: number;
  readonly file: File;
  readonly end: number;
}

/** Writes under way at once: while one is synced the next is written, so that the disk never waits for the loop. */
const WRITES_AT_ONCE = 2;
/**
 * The mark follows so much later. It is a hint, and the commits themselves say nearly as much; writing it waits for the
 * disk when the disk is busy with the page. Milliseconds.
 */
const MARK_DELAY_MS = 50;

/**
 * Writes commits to segment files, in order, and says when each is durable (J1). Two are under way at once; one that is
 * done first still waits for the one before it.
 */
export class CommitWriter {
  readonly #init: CommitWriterInit;
  /** Not handed to the disk yet, oldest first. */
  readonly #closed: Commit[] = [];
  /** Handed to the disk, in order; the first is not durable yet. */
  readonly #writing: Commit[] = [];
  #pendingBytes = 0;
  #hasBacklog = false;
  /** Writes that have not come back from the disk. */
  readonly #underWay = new Set<Promise<void>>();
  #file!: File;
  #segment = 0;
  /** The checksum of its header. */
  #segmentId = 0;
  #segmentKey = 0;
  #durableUpTo: Position = 0;
  /** The next segment is being made; nothing is written meanwhile. */
  #rolling = false;
  #failed = false;
  #markTimer: Timer | undefined;
  #idle: (() => void)[] = [];

  constructor(init: CommitWriterInit) {
    this.#init = init;
  }

  get durableUpTo(): Position {
    return this.#durableUpTo;
  }

  /** The segment that is written to now. */
  get segment(): number {
    return this.#segment;
  }

  /** Nothing more can be handed to the disk now: what is closed now only waits. */
  get isFull(): boolean {
    return !this.#hasRoom || this.#waitsForRoll;
  }

  get #hasRoom(): boolean {
    return !this.#failed && !this.#rolling && this.#writing.length < WRITES_AT_ONCE;
  }

  /** What comes next belongs to the next segment, and that is made when this one is durable. */
  get #waitsForRoll(): boolean {
    const next = this.#closed[0];
    return next !== undefined && next.segment !== this.#segment;
  }

  get isIdle(): boolean {
    return this.#closed.length === 0 && this.#writing.length === 0 && !this.#rolling;
  }

  /** The newest commit that is not durable yet. */
  get last(): Commit | undefined {
    return this.#closed.at(-1) ?? this.#writing.at(-1);
  }

  /** All commits that are not durable, oldest first. */
  pending(): Commit[] {
    return [...this.#writing, ...this.#closed];
  }

  /** Bytes of commits that are not durable. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Makes the first segment of a new journal. */
  async begin(number: number): Promise<void> {
    await this.#makeSegment(number);
  }

  /** Goes on in a segment that is there, whole and synced up to `end`. */
  resume({ number, id, key, file, end }: WrittenSegment): void {
    this.#segment = number;
    this.#segmentId = id;
    this.#segmentKey = key;
    this.#file = file;
    this.#durableUpTo = positionOf(number, end);
  }

  add(commit: Commit): void {
    this.#closed.push(commit);
    this.#pendingBytes += commit.out.end;
    if (this.#hasBacklog || this.#pendingBytes < LIMITS.underWayBytesMax) return;
    this.#hasBacklog = true;
    this.#init.onBacklog(true);
  }

  /** Hands commits to the disk as far as there is room. */
  pump(): void {
    while (this.#hasRoom) {
      if (this.#closed.length === 0) this.#init.onRoom();
      const commit = this.#closed[0];
      if (commit === undefined) return;
      if (this.#waitsForRoll) {
        if (this.#writing.length === 0) this.#track(this.#roll(commit.segment));
        return;
      }
      this.#closed.shift();
      this.#writing.push(commit);
      this.#track(this.#write(commit));
    }
  }

  #track(work: Promise<void>): void {
    const tracked = work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#underWay.delete(tracked);
        if (this.isIdle || this.#failed) for (const resolve of this.#idle.splice(0)) resolve();
      });
    this.#underWay.add(tracked);
  }

  /** J1: durable only when this, what is before it, and the name of its segment are on the disk. Never rejects. */
  async #write(commit: Commit): Promise<void> {
    commit.stamp(this.#durableUpTo, this.#segmentKey);
    try {
      await this.#file.writeDurably(commit.bytes(), commit.start);
    } catch (error) {
      if (!PLANTED.failedWriteIgnored) return this.#fail(error);
    }
    commit.written = true;
    if (PLANTED.confirmedOutOfOrder) for (const callback of commit.waiting.splice(0)) callback();
    return this.#advance();
  }

  /** The disk gets the next commit before those who waited for the last one are told: what they do, they do meanwhile. */
  #advance(): void {
    if (this.#failed) return;
    const durable: Commit[] = [];
    while (this.#writing[0]?.written === true) durable.push(this.#writing.shift() as Commit);
    const last = durable.at(-1);
    if (last === undefined) return;
    this.#durableUpTo = positionOf(last.segment, last.end);
    this.pump();
    this.#markTimer ??= this.#init.clock.setTimer(MARK_DELAY_MS, () => this.#writeMark());
    for (const commit of durable) this.#report(commit);
  }

  #report(commit: Commit): void {
    this.#pendingBytes -= commit.out.end;
    this.#init.onDurable(commit);
    if (!this.#hasBacklog || this.#pendingBytes > LIMITS.underWayBytesMax / 2) return;
    this.#hasBacklog = false;
    this.#init.onBacklog(false);
  }

  #writeMark(): void {
    this.#markTimer?.cancel();
    this.#markTimer = undefined;
    this.#init.mark.write(this.#durableUpTo).catch((error: unknown) => this.#init.onMarkTrouble(error));
  }

  async #roll(number: number): Promise<void> {
    this.#rolling = true;
    try {
      await this.#makeSegment(number);
    } catch (error) {
      return this.#fail(error);
    } finally {
      this.#rolling = false;
    }
    return this.pump();
  }

  /** The segment before is whole and synced: a segment exists only when all before it is durable. */
  async #makeSegment(number: number): Promise<void> {
    const { fileSystem, directory, nextSequence, newKey, onSealed } = this.#init;
    const path = `${directory}/${segmentFileName(number)}`;
    const file = await createAnew(fileSystem, path);
    const previous = this.#segment;
    const previousEnd = previous === 0 ? 0 : offsetOf(this.#durableUpTo);
    const key = newKey();
    const header = encodeSegmentHeader({ key, number, firstSequence: nextSequence(), previousEnd });
    try {
      await file.write(header, 0);
      await file.sync();
      await fileSystem.syncDirectory(directory);
    } catch (error) {
      await file.close();
      throw error;
    }
    const [sealed, id] = [this.#file, this.#segmentId];
    this.resume({ number, id: header.readUInt32BE(28), key, file, end: SEGMENT_HEADER_BYTES });
    if (previous === 0) return;
    await sealed.close();
    onSealed(previous, { id, end: previousEnd });
  }

  // ---------------------------------------------------------------- failing and healing

  #fail(cause: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#init.onFailure(cause);
  }

  /**
   * J5: after a failed write or sync nobody knows what of the segment is on the disk, and the system may call pages
   * clean that never got there. So a new file takes its place: what was durable is read back, record by record, what was
   * not is written from memory to where it belongs, all of it is synced and read again; then it takes the old one's
   * name. Positions stay. Rejects, and stays failed, when the disk is not well yet.
   */
  async heal(): Promise<void> {
    await Promise.all(this.#underWay);
    if (!this.#failed) return;
    const unsure = this.#writing;
    if (unsure.length > 0) {
      const { fileSystem, directory } = this.#init;
      for (const commit of unsure) commit.stamp(this.#durableUpTo, this.#segmentKey);
      const path = `${directory}/${segmentFileName(this.#segment)}`;
      await rewriteSegment(fileSystem, {
        directory,
        path,
        durableEnd: offsetOf(this.#durableUpTo),
        commits: unsure,
      });
      const healed = await fileSystem.open(path, 'write');
      const broken = this.#file;
      const last = unsure.at(-1) as Commit;
      this.resume({
        number: this.#segment,
        id: this.#segmentId,
        key: this.#segmentKey,
        file: healed,
        end: last.end,
      });
      this.#writeMark();
      // It has nothing left to lose: its bytes are in the file that has its name now.
      await broken.close().catch(() => {});
    } else await this.#rollAgain();
    this.#failed = false;
    this.#init.onHealed();
    for (const commit of unsure.splice(0)) this.#report(commit);
    this.pump();
  }

  async #rollAgain(): Promise<void> {
    const next = this.#closed[0]?.segment ?? this.#segment;
    if (next !== this.#segment) await this.#makeSegment(next);
  }

  /** Resolves when nothing is under way, or the disk has failed. */
  idle(): Promise<void> {
    if (this.#underWay.size === 0 && (this.isIdle || this.#failed)) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  async close(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#markTimer !== undefined) this.#writeMark();
    await this.#file?.close();
  }
}

/** Over what an attempt that failed may have left: it was never reported to be there. */
async function createAnew(fileSystem: FileSystem, path: string): Promise<File> {
  try {
    return await fileSystem.open(path, 'create');
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    await fileSystem.remove(path);
    return fileSystem.open(path, 'create');
  }
}
