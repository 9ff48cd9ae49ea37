import type { Residence } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { UNKNOWN_BYTES } from './entry-mark.js';
import type { ReadyEntry } from './ready-index.js';

const FIRST_ROWS = 16;
/** Of the table of rows by sequence: no row. */
const NONE = -1;

/** A row each. */
interface Columns {
  readonly dueAt: Float64Array;
  readonly sequences: Float64Array;
  readonly positions: Float64Array;
  readonly expiresAt: Float64Array;
  readonly deliveryCounts: Uint32Array;
  readonly priorities: Uint8Array;
  readonly bodyBytes: Uint32Array;
  readonly tags: Uint8Array;
}

/**
 * Messages that wait for their time, the soonest first: about 50 bytes each in typed arrays, no object and no timer, and up to
 * four times as much after there were more. A heap of row numbers orders them; an open hash table finds a row by its sequence.
 */
export class DelayedIndex {
  #columns: Columns = newColumns(FIRST_ROWS);
  /** Row numbers; the first `#length` are a heap by time, then sequence; the rest are rows that are free. */
  #heap: Uint32Array = numbered(FIRST_ROWS);
  /** Row numbers, each at the place of its sequence's hash or the next free one behind it. */
  #table: Int32Array = new Int32Array(FIRST_ROWS * 2).fill(NONE);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** How many there is memory for. */
  get capacity(): number {
    return this.#heap.length;
  }

  /** When the soonest is due, or Infinity. Milliseconds since 1970. */
  get nextDueAt(): number {
    return this.#length === 0 ? Infinity : (this.#columns.dueAt[this.#heap[0] as number] as number);
  }

  /** What {@link add} was told of the soonest; 0 when there is none. */
  get nextTag(): number {
    return this.#length === 0 ? 0 : (this.#columns.tags[this.#heap[0] as number] as number);
  }

  /** The sequence must not be in it. `tag` is what else its owner has to know, from 0 to 255. @default 0 */
  add(
    { sequence, position, deliveryCount, mark }: Omit<ReadyEntry, 'redelivered'>,
    dueAt: number,
    tag: number = 0,
  ): void {
    if (this.#length === this.#heap.length) this.#resize(this.#heap.length * 2);
    const row = this.#heap[this.#length] as number;
    const columns = this.#columns;
    columns.dueAt[row] = dueAt;
    columns.sequences[row] = sequence;
    columns.positions[row] = position;
    columns.expiresAt[row] = mark?.expiresAt ?? 0;
    columns.deliveryCounts[row] = deliveryCount;
    columns.priorities[row] = mark?.priority ?? 0;
    columns.bodyBytes[row] = mark?.bodyBytes ?? UNKNOWN_BYTES;
    columns.tags[row] = tag;
    this.#rise(this.#length++, row);
    this.#table[this.#placeOf(sequence)] = row;
  }

  /** Takes the soonest. */
  shift(): ReadyEntry | undefined {
    if (this.#length === 0) return undefined;
    const row = this.#heap[0] as number;
    const entry = this.#entryAt(row);
    const last = this.#heap[--this.#length] as number;
    // Its row is free now.
    this.#heap[this.#length] = row;
    if (this.#length > 0) this.#sink(last);
    this.#forget(this.#placeOf(entry.sequence));
    const rows = this.#heap.length;
    if (rows > FIRST_ROWS && this.#length <= rows / 4) this.#resize(rows / 2);
    return entry;
  }

  /** In no order. */
  *sequences(): Generator<number> {
    for (let at = 0; at < this.#length; at++)
      yield this.#columns.sequences[this.#heap[at] as number] as number;
  }

  /** Takes them all, in no order: it is empty, and small again, before the first is given. Returns where they lie. */
  takeAll(): Generator<Position> {
    const positions = this.#columns.positions;
    const rows = this.#heap.subarray(0, this.#length);
    this.#columns = newColumns(FIRST_ROWS);
    this.#heap = numbered(FIRST_ROWS);
    this.#table = new Int32Array(FIRST_ROWS * 2).fill(NONE);
    this.#length = 0;
    return positionsOf(rows, positions);
  }

  /** The message with this sequence; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): Residence | undefined {
    const row = this.#table[this.#placeOf(sequence)] as number;
    if (row === NONE) return undefined;
    if (position !== undefined) this.#columns.positions[row] = position;
    return this.#entryAt(row);
  }

  #entryAt(row: number): ReadyEntry {
    const { dueAt, sequences, positions, expiresAt, deliveryCounts, priorities, bodyBytes } = this.#columns;
    return {
      sequence: sequences[row] as number,
      position: positions[row] as number,
      deliveryCount: deliveryCounts[row] as number,
      redelivered: true,
      mark: {
        expiresAt: expiresAt[row] as number,
        readyAt: dueAt[row] as number,
        priority: priorities[row] as number,
        bodyBytes: bodyBytes[row] as number,
      },
    };
  }

  // ---------------------------------------------------------------- heap

  #isBefore(a: number, b: number): boolean {
    const { dueAt, sequences } = this.#columns;
    const difference = (dueAt[a] as number) - (dueAt[b] as number);
    return difference < 0 || (difference === 0 && (sequences[a] as number) < (sequences[b] as number));
  }

  #rise(from: number, row: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(row, heap[parent] as number)) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = row;
  }

  #sink(row: number): void {
    const heap = this.#heap;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= this.#length) break;
      const right = child + 1;
      if (right < this.#length && this.#isBefore(heap[right] as number, heap[child] as number)) child = right;
      if (!this.#isBefore(heap[child] as number, row)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = row;
  }

  // ---------------------------------------------------------------- table

  /** Where the sequence is in the table, or where it would be. */
  #placeOf(sequence: number): number {
    const mask = this.#table.length - 1;
    let place = this.#homeOf(sequence);
    for (;;) {
      const row = this.#table[place] as number;
      if (row === NONE || this.#columns.sequences[row] === sequence) return place;
      place = (place + 1) & mask;
    }
  }

  #homeOf(sequence: number): number {
    return (Math.imul(sequence % 2 ** 32, 0x9e37_79b1) >>> 7) & (this.#table.length - 1);
  }

  /** Frees a place, and moves up those behind it that would have liked to be nearer their home. */
  #forget(place: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let free = place;
    for (let at = (place + 1) & mask; table[at] !== NONE; at = (at + 1) & mask) {
      const row = table[at] as number;
      const home = this.#homeOf(this.#columns.sequences[row] as number);
      if (((at - home) & mask) < ((at - free) & mask)) continue;
      table[free] = row;
      free = at;
    }
    table[free] = NONE;
  }

  /** Rows are numbered anew, in the order of the heap. There is room for all. */
  #resize(rows: number): void {
    const before = this.#columns;
    const columns = newColumns(rows);
    for (const name of Object.keys(columns) as (keyof Columns)[]) {
      for (let at = 0; at < this.#length; at++)
        columns[name][at] = before[name][this.#heap[at] as number] as number;
    }
    this.#columns = columns;
    this.#heap = numbered(rows);
    this.#table = new Int32Array(rows * 2).fill(NONE);
    for (let row = 0; row < this.#length; row++)
      this.#table[this.#placeOf(columns.sequences[row] as number)] = row;
  }
}

/** By row, which is mostly the order of their coming: so neighbours in the store come one after the other. */
function* positionsOf(rows: Uint32Array, positions: Float64Array): Generator<Position> {
  const isTaken = new Uint8Array(positions.length);
  for (const row of rows) isTaken[row] = 1;
  for (let row = 0; row < isTaken.length; row++) if (isTaken[row] === 1) yield positions[row] as number;
}

function newColumns(rows: number): Columns {
  return {
    dueAt: new Float64Array(rows),
    sequences: new Float64Array(rows),
    positions: new Float64Array(rows),
    expiresAt: new Float64Array(rows),
    deliveryCounts: new Uint32Array(rows),
    priorities: new Uint8Array(rows),
    bodyBytes: new Uint32Array(rows),
    tags: new Uint8Array(rows),
  };
}

/** 0, 1, 2, … */
function numbered(rows: number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, i) => i);
}
