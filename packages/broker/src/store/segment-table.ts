import { PLANTED } from './planted.js';

export interface SegmentState {
  readonly number: number;
  /** Messages in durable queues whose record is in this segment. */
  live: number;
  /** Messages that its records put into queues, settled or not. */
  messages: number;
  /** Up to the end of its last closed commit. */
  bytes: number;
  lastDefinitionSequence: number;
  /** What was alive in it when somebody looked, and when that was: the count of such looks. */
  measured: { readonly bytes: number; readonly messages: number; readonly look: number } | undefined;
  /** Its files are being removed. */
  isGoing: boolean;
  /** Segments before it that hold bodies of messages which were moved, and whose records are here. */
  readonly borrowedFrom: Set<number>;
}

/** What is in which segment, and which of them can go. Oldest first; the last is the one being filled. */
export class SegmentTable {
  readonly #segments = new Map<number, SegmentState>();
  /** By a segment with bodies of moved messages: those with the messages' records. */
  readonly #borrowers = new Map<number, Set<number>>();

  get size(): number {
    return this.#segments.size;
  }

  get oldest(): SegmentState | undefined {
    for (const segment of this.#segments.values()) return segment;
    return undefined;
  }

  all(): IterableIterator<SegmentState> {
    return this.#segments.values();
  }

  add(
    state: Omit<SegmentState, 'live' | 'borrowedFrom' | 'isGoing' | 'measured'> & {
      readonly borrowedFrom?: Iterable<number>;
    },
  ): void {
    this.#segments.set(state.number, {
      ...state,
      live: 0,
      isGoing: false,
      measured: undefined,
      borrowedFrom: new Set(),
    });
    for (const from of state.borrowedFrom ?? []) this.borrow(state.number, from);
  }

  /** Whether its index is worth a file. */
  isKept(number: number): boolean {
    return this.#segments.get(number)?.isGoing === false;
  }

  has(number: number): boolean {
    return this.#segments.has(number);
  }

  /** Throws for a segment that is gone: whoever asks for it has lost count. */
  get(number: number): SegmentState {
    const segment = this.#segments.get(number);
    if (segment === undefined) throw new Error(`no segment ${number} for a message that needs it`);
    return segment;
  }

  remove(number: number): void {
    for (const from of this.get(number).borrowedFrom) this.#borrowers.get(from)?.delete(number);
    this.#borrowers.delete(number);
    this.#segments.delete(number);
  }

  /** Counts a message's record as needed by so many queues more, or fewer. */
  count(segment: number, queues: number): void {
    this.get(segment).live += queues;
  }

  /** Messages whose records are in `segment` have their bodies in `from`. */
  borrow(segment: number, from: number): void {
    if (segment === from) return;
    this.get(segment).borrowedFrom.add(from);
    let borrowers = this.#borrowers.get(from);
    if (borrowers === undefined) this.#borrowers.set(from, (borrowers = new Set()));
    borrowers.add(segment);
  }

  /** Nothing is borrowed from it any more: whatever was has been brought forward. */
  returned(number: number): void {
    for (const borrower of this.borrowersOf(number)) this.get(borrower).borrowedFrom.delete(number);
    this.#borrowers.delete(number);
  }

  borrowersOf(number: number): readonly number[] {
    return [...(this.#borrowers.get(number) ?? [])];
  }

  /**
   * Whether nothing in it is needed: no message, and no body of a message that was moved. The second is answered
   * by the borrowers as a whole: one live message of any kind in them keeps it, until it is compacted.
   */
  canGo(segment: SegmentState): boolean {
    if (segment.live > 0) return false;
    if (PLANTED.borrowedBodyDropped) return true;
    return this.borrowersOf(segment.number).every((borrower) => this.get(borrower).live === 0);
  }

  /** Bytes in all segments, and about how many of them are alive. */
  usage(): { readonly bytes: number; readonly liveBytes: number } {
    let bytes = 0;
    let liveBytes = 0;
    for (const segment of this.#segments.values()) {
      bytes += segment.bytes;
      liveBytes += liveBytesOf(segment);
    }
    return { bytes, liveBytes };
  }

  /** The segment before `end` that was looked at the longest ago, or never, and is another one since: messages have left it. */
  leastMeasured(end: number): SegmentState | undefined {
    let least: SegmentState | undefined;
    for (const segment of this.#segments.values()) {
      if (segment.number >= end || segment.live === 0 || segment.isGoing || isKnown(segment)) continue;
      if (least === undefined || (segment.measured?.look ?? 0) < (least.measured?.look ?? 0)) least = segment;
    }
    return least;
  }
}

/** What is alive in it is known without a look: all of it, or what was when somebody looked. */
function isKnown({ live, messages, measured }: SegmentState): boolean {
  return live >= (measured === undefined ? messages : measured.messages);
}

/** From the last look, less what was settled since; without one, by the share of its messages that are alive. */
export function liveBytesOf({ bytes, live, messages, measured }: SegmentState): number {
  if (measured === undefined) return (bytes * live) / Math.max(1, messages, live);
  return (measured.bytes * live) / Math.max(1, measured.messages, live);
}
