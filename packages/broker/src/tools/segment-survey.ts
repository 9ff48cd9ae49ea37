import { BrokerError } from '../errors.js';
import type { File } from '../store/file-system.js';
import { type Position, positionOf, readCommit, RECORD_TYPE } from '../store/record.js';
import { addTo, provesDurable } from '../store/recovery.js';
import { SEGMENT_HEADER_BYTES } from '../store/segment.js';
import { SegmentIndex } from '../store/segment-index.js';
import { type Scanned, scanSegment } from '../store/segment-scan.js';
import { nextReadable } from './resync.js';
import { type Surroundings, type Trust, trustByIndex, trustBySequence } from './trust.js';

/** Bytes of a segment that were durable and do not read. */
export interface DamagedRange {
  readonly from: number;
  readonly to: number;
  readonly why: string;
}

export interface SurveyOf {
  readonly path: string;
  readonly file: File;
  readonly surroundings: Surroundings;
  /** Bytes that are in the file, up to where the segment ends. */
  readonly to: number;
  /** Up to here everything was durable, as far as the mark tells; undefined when all of the segment was: it is sealed. */
  readonly durableUpTo: Position | undefined;
  /** The segment's index as it was, if that is known. */
  readonly stored: SegmentIndex | undefined;
  readonly onRead: (bytesDone: number) => void;
}

export interface SegmentContents {
  /** What the records say that read. */
  readonly index: SegmentIndex;
  readonly records: number;
  readonly damage: readonly DamagedRange[];
  /** Where the last record ends that reads, or the last damage. */
  readonly end: number;
  /** After that: bytes that nobody was promised. */
  readonly tornBytes: number;
  /** Bytes that earlier repairs gave up. */
  readonly gapBytes: number;
  /** Of the first commit record that reads: the segment's, if its header does not say it. */
  readonly key: number | undefined;
}

/**
 * Reads all records of a segment, and goes on behind damage. Rejects with JOURNAL_VERSION when one is of a type that
 * this release does not know.
 */
export async function surveySegment(of: SurveyOf): Promise<SegmentContents> {
  // A record whose checksum is right and that can't be read all the same may have left something in the index.
  for (const unreadable = new Map<number, string>(); ;) {
    const contents = await new SegmentSurvey(of, unreadable).run();
    if (contents !== undefined) return contents;
  }
}

class SegmentSurvey {
  readonly #index = new SegmentIndex();
  readonly #damage: DamagedRange[] = [];
  /** By the index: made once. */
  #trust: Trust | undefined;
  #records = 0;
  #gapBytes = 0;
  #key: number | undefined;
  #at = SEGMENT_HEADER_BYTES;
  #tail: { readonly from: number; readonly bytes: Buffer } | undefined;

  constructor(
    private readonly of: SurveyOf,
    private readonly unreadable: Map<number, string>,
  ) {}

  /** Undefined when it must be begun anew. */
  async run(): Promise<SegmentContents | undefined> {
    const { to } = this.of;
    while (this.#at < to) {
      const why = await this.#readOn();
      if (why === undefined) return undefined;
      if (this.#at >= to) break;
      if (await this.#isTorn()) return this.#contents(to - this.#at);
      const next = await this.#skip(why);
      if (next >= to) break;
    }
    return this.#contents(0);
  }

  #contents(tornBytes: number): SegmentContents {
    return {
      index: this.#index,
      records: this.#records,
      damage: this.#damage,
      end: this.#at,
      tornBytes,
      gapBytes: this.#gapBytes,
      key: this.#key,
    };
  }

  /** Reads up to the next record that does not, and returns why it does not; undefined when it must be begun anew. */
  async #readOn(): Promise<string | undefined> {
    const { file, to, onRead } = this.of;
    for await (const part of scanSegment(file, { from: this.#at, to })) {
      for (const one of part) {
        const why = one.ok ? this.unreadable.get(one.offset) : one.why;
        if (why !== undefined) return why;
        if (!this.#take(one as Scanned & { ok: true })) return undefined;
      }
      onRead(this.#at);
    }
    return 'the file ends here';
  }

  #take({ record, offset }: Scanned & { ok: true }): boolean {
    try {
      addTo(this.#index, { record, offset }, this.of.path);
    } catch (error) {
      if (error instanceof BrokerError && error.code === 'JOURNAL_VERSION') throw error;
      this.unreadable.set(offset, "a record can't be read, though its checksum is right");
      return false;
    }
    this.#records++;
    if (record.type === RECORD_TYPE.gap) this.#gapBytes += record.length;
    if (record.type === RECORD_TYPE.commit) this.#key ??= readCommit(record.payload).key;
    this.#at = offset + record.length;
    return true;
  }

  /** As recovery sees it: nothing says that what starts here was durable. */
  async #isTorn(): Promise<boolean> {
    const { surroundings, durableUpTo } = this.of;
    if (durableUpTo === undefined || durableUpTo > positionOf(surroundings.segment, this.#at)) return false;
    return !provesDurable(await this.#rest(), { ...this.#surroundings(), offset: this.#at });
  }

  #surroundings(): Surroundings {
    const { key, after, ...rest } = this.of.surroundings;
    return { ...rest, key: key ?? this.#key, after: Math.max(after, this.#index.lastSequence) };
  }

  async #skip(why: string): Promise<number> {
    const { stored, to } = this.of;
    const surroundings = this.#surroundings();
    const next = nextReadable({
      bytes: await this.#rest(),
      offset: this.#at,
      surroundings,
      trust:
        stored === undefined
          ? trustBySequence(surroundings)
          : (this.#trust ??= trustByIndex(surroundings, stored)),
      indexed: stored !== undefined,
    });
    const from = this.#at;
    this.#at = next === undefined ? to : from + next;
    this.#damage.push({ from, to: this.#at, why });
    return this.#at;
  }

  /** From the first damage on the segment is in memory: there may be much of it. */
  async #rest(): Promise<Buffer> {
    const { file, to } = this.of;
    if (this.#tail === undefined) {
      const bytes = Buffer.allocUnsafe(to - this.#at);
      this.#tail = { from: this.#at, bytes: bytes.subarray(0, await file.read(bytes, this.#at)) };
    }
    return this.#tail.bytes.subarray(this.#at - this.#tail.from);
  }
}
