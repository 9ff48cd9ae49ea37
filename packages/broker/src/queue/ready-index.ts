import { lowerBound } from '../store/columns.js';
import type { Residence, StoredEntries } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { type EntryMark, NO_MARK, UNKNOWN_BYTES } from './entry-mark.js';

/** One ready message, as its queue knows it. */
export interface ReadyEntry {
  readonly sequence: number;
  /** Changes when the store brings the message forward. */
  position: Position;
  /** Changes when it is counted that it was delivered: {@link Delivery.count}. */
  deliveryCount: number;
  /** It may have been delivered before (AMQP 0-9-1, `redelivered`). */
  readonly redelivered: boolean;
  /** Undefined where the queue has nothing more to know. */
  mark: EntryMark | undefined;
}

/**
 * Most queues have few messages: the first chunk is small, the next ones double what there is room for. In a long queue a
 * chunk is a small share of it: neither is much taken in advance, nor is the number of chunks a burden.
 */
const CHUNK_ENTRIES_MIN = 16;
const CHUNK_ENTRIES_DOUBLING_MAX = 1024;
const CHUNK_SHARE = 1 / 16;
const CHUNK_ENTRIES_MAX = 16_384;
const REDELIVERED_BIT = 1;

interface Chunk {
  readonly sequences: Float64Array;
  readonly positions: Float64Array;
  /** Delivery count, shifted left by one, and the redelivered bit. */
  readonly counts: Uint32Array;
  /** Of marked messages: when they expire, and how large they are. Made with the first of them in the chunk. */
  marks: { readonly expiresAt: Float64Array; readonly bodyBytes: Uint32Array } | undefined;
  head: number;
  tail: number;
}

/**
 * What is ready in a queue, in order of sequence: typed arrays in chunks, 20 bytes a message (J8), and 12 more where
 * messages expire or are measured. Messages that came back are few and wait in a heap until it is their turn again, at
 * their original place. All have the same priority.
 */
export class ReadyIndex {
  #chunks: Chunk[] = [];
  #firstChunk = 0;
  readonly #returned: ReadyEntry[] = [];
  /** The same, by sequence. */
  readonly #returnedBySequence = new Map<number, ReadyEntry>();
  #length = 0;

  constructor(private readonly priority: number = 0) {}

  get length(): number {
    return this.#length;
  }

  /** Adds at the end. Sequences must grow. */
  push(
    sequence: number,
    position: Position,
    deliveryCount: number,
    redelivered: boolean,
    mark?: EntryMark,
  ): void {
    let chunk = this.#chunks.at(-1);
    if (chunk === undefined || chunk.tail === chunk.sequences.length) {
      this.#chunks.push((chunk = newChunk(this.#entriesOfNextChunk())));
    }
    const at = chunk.tail++;
    chunk.sequences[at] = sequence;
    chunk.positions[at] = position;
    chunk.counts[at] = deliveryCount * 2 + (redelivered ? REDELIVERED_BIT : 0);
    if (mark !== undefined || chunk.marks !== undefined) setMark(chunk, at, mark ?? NO_MARK);
    this.#length++;
  }

  #entriesOfNextChunk(): number {
    const doubling = Math.min(CHUNK_ENTRIES_DOUBLING_MAX, Math.max(CHUNK_ENTRIES_MIN, this.#length));
    return Math.min(CHUNK_ENTRIES_MAX, Math.max(doubling, Math.ceil(this.#length * CHUNK_SHARE)));
  }

  /** Adds what was found at opening, before anything else is pushed; all of it counts as redelivered. */
  restore({ sequences, positions, deliveryCounts, length }: StoredEntries): void {
    for (let from = 0; from < length; from += CHUNK_ENTRIES_MAX) {
      const to = Math.min(length, from + CHUNK_ENTRIES_MAX);
      const chunk = newChunk(to - from);
      chunk.sequences.set(sequences.subarray(from, to));
      chunk.positions.set(positions.subarray(from, to));
      for (let i = from; i < to; i++) {
        chunk.counts[i - from] = (deliveryCounts[i] as number) * 2 + REDELIVERED_BIT;
      }
      chunk.tail = to - from;
      this.#chunks.push(chunk);
    }
    this.#length += length;
  }

  /** Puts a message back at its original place. */
  putBack(entry: ReadyEntry): void {
    heapPush(this.#returned, entry);
    this.#returnedBySequence.set(entry.sequence, entry);
    this.#length++;
  }

  /** The sequence of the next message, or Infinity. */
  nextSequence(): number {
    return Math.min(this.#returned[0]?.sequence ?? Infinity, this.#headSequence());
  }

  /** When the next message expires; 0 is never, or there is none. */
  nextExpiresAt(): number {
    const returned = this.#returned[0];
    if (returned !== undefined && returned.sequence < this.#headSequence())
      return returned.mark?.expiresAt ?? 0;
    const chunk = this.#chunks[this.#firstChunk];
    return chunk === undefined || chunk.head === chunk.tail ? 0 : (chunk.marks?.expiresAt[chunk.head] ?? 0);
  }

  /** Where the next message lies, or undefined. */
  nextPosition(): Position | undefined {
    const returned = this.#returned[0];
    if (returned !== undefined && returned.sequence < this.#headSequence()) return returned.position;
    const chunk = this.#chunks[this.#firstChunk];
    return chunk === undefined || chunk.head === chunk.tail ? undefined : chunk.positions[chunk.head];
  }

  shift(): ReadyEntry | undefined {
    if (this.#length === 0) return undefined;
    this.#length--;
    const returned = this.#returned[0];
    if (returned !== undefined && returned.sequence < this.#headSequence()) {
      this.#returnedBySequence.delete(returned.sequence);
      return heapPop(this.#returned);
    }
    return this.#shiftChunk();
  }

  /** The message with this sequence, or undefined; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): Residence | undefined {
    const returned = this.#returnedBySequence.get(sequence);
    if (returned !== undefined) {
      if (position !== undefined) returned.position = position;
      return returned;
    }
    const chunk = this.#chunkOf(sequence);
    if (chunk === undefined) return undefined;
    const at = lowerBound(chunk.sequences, sequence, chunk.head, chunk.tail);
    if (at === chunk.tail || chunk.sequences[at] !== sequence) return undefined;
    if (position !== undefined) chunk.positions[at] = position;
    return {
      position: chunk.positions[at] as number,
      deliveryCount: Math.floor((chunk.counts[at] as number) / 2),
      mark: markAt(chunk, at, this.priority),
    };
  }

  /** Sets the size of the message with this sequence, if it has none yet; false: it has, or is not here. */
  measure(sequence: number, bodyBytes: number): boolean {
    const chunk = this.#chunkOf(sequence);
    if (chunk === undefined) return false;
    const at = lowerBound(chunk.sequences, sequence, chunk.head, chunk.tail);
    if (at === chunk.tail || chunk.sequences[at] !== sequence || bytesAt(chunk, at) !== UNKNOWN_BYTES)
      return false;
    setMark(chunk, at, { ...markAt(chunk, at, this.priority), bodyBytes });
    return true;
  }

  /** The first of those after this sequence that were not measured, and lie in the index; at most so many. */
  unmeasured(after: number, countMax: number): { readonly sequence: number; readonly position: Position }[] {
    const found = [];
    for (const chunk of this.#chunks.slice(this.#firstChunk)) {
      for (let at = lowerBound(chunk.sequences, after + 1, chunk.head, chunk.tail); at < chunk.tail; at++) {
        if (bytesAt(chunk, at) !== UNKNOWN_BYTES) continue;
        found.push({ sequence: chunk.sequences[at] as number, position: chunk.positions[at] as number });
        if (found.length === countMax) return found;
      }
    }
    return found;
  }

  /** The one chunk that may have it: the last that starts at or before the sequence. */
  #chunkOf(sequence: number): Chunk | undefined {
    let low = this.#firstChunk;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chunk = this.#chunks[middle] as Chunk;
      if (chunk.head < chunk.tail && (chunk.sequences[chunk.head] as number) <= sequence) low = middle + 1;
      else high = middle;
    }
    return low > this.#firstChunk ? this.#chunks[low - 1] : undefined;
  }

  #headSequence(): number {
    const chunk = this.#chunks[this.#firstChunk];
    if (chunk === undefined || chunk.head === chunk.tail) return Infinity;
    return chunk.sequences[chunk.head] as number;
  }

  #shiftChunk(): ReadyEntry {
    const chunk = this.#chunks[this.#firstChunk] as Chunk;
    const at = chunk.head++;
    const count = chunk.counts[at] as number;
    const entry = {
      sequence: chunk.sequences[at] as number,
      position: chunk.positions[at] as number,
      deliveryCount: Math.floor(count / 2),
      redelivered: (count & REDELIVERED_BIT) !== 0,
      mark: chunk.marks === undefined && this.priority === 0 ? undefined : markAt(chunk, at, this.priority),
    };
    if (chunk.head < chunk.tail) return entry;
    // One that is empty is used again if nothing comes after it.
    if (this.#firstChunk < this.#chunks.length - 1) this.#dropFirstChunk();
    else chunk.head = chunk.tail = 0;
    return entry;
  }

  #dropFirstChunk(): void {
    this.#firstChunk++;
    // Moving the array's front is done seldom, so that each message pays next to nothing for it.
    if (this.#firstChunk < 64 && this.#firstChunk < this.#chunks.length) return;
    this.#chunks = this.#chunks.slice(this.#firstChunk);
    this.#firstChunk = 0;
  }
}

function newChunk(entries: number): Chunk {
  return {
    sequences: new Float64Array(entries),
    positions: new Float64Array(entries),
    counts: new Uint32Array(entries),
    marks: undefined,
    head: 0,
    tail: 0,
  };
}

function setMark(chunk: Chunk, at: number, { expiresAt, bodyBytes }: EntryMark): void {
  if (expiresAt === 0 && bodyBytes === UNKNOWN_BYTES && chunk.marks === undefined) return;
  const entries = chunk.sequences.length;
  chunk.marks ??= {
    expiresAt: new Float64Array(entries),
    bodyBytes: new Uint32Array(entries).fill(UNKNOWN_BYTES),
  };
  chunk.marks.expiresAt[at] = expiresAt;
  chunk.marks.bodyBytes[at] = bodyBytes;
}

function bytesAt(chunk: Chunk, at: number): number {
  return chunk.marks?.bodyBytes[at] ?? UNKNOWN_BYTES;
}

function markAt(chunk: Chunk, at: number, priority: number): EntryMark {
  return { expiresAt: chunk.marks?.expiresAt[at] ?? 0, readyAt: 0, priority, bodyBytes: bytesAt(chunk, at) };
}

function heapPush(heap: ReadyEntry[], entry: ReadyEntry): void {
  let at = heap.push(entry) - 1;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if ((heap[parent] as ReadyEntry).sequence <= entry.sequence) break;
    heap[at] = heap[parent] as ReadyEntry;
    at = parent;
  }
  heap[at] = entry;
}

function heapPop(heap: ReadyEntry[]): ReadyEntry {
  const top = heap[0] as ReadyEntry;
  const last = heap.pop() as ReadyEntry;
  if (heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    const right = child + 1;
    if (right < heap.length && (heap[right] as ReadyEntry).sequence < (heap[child] as ReadyEntry).sequence)
      child = right;
    if ((heap[child] as ReadyEntry).sequence >= last.sequence) break;
    heap[at] = heap[child] as ReadyEntry;
    at = child;
  }
  heap[at] = last;
  return top;
}
