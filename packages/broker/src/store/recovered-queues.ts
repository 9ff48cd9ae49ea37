import { lowerBound, NumberColumn, Uint32Column } from './columns.js';
import type { StoredEntries } from './message-store.js';
import { PLANTED } from './planted.js';
import { positionOf } from './record.js';
import { FilledMarks, GatheredMarks } from './recovered-marks.js';
import type { SegmentIndex } from './segment-index.js';

/** What the segments say about one queue, as it was found. */
class Gathered {
  readonly sequences: NumberColumn = new NumberColumn();
  readonly positions: NumberColumn = new NumberColumn();
  readonly settled: NumberColumn = new NumberColumn();
  readonly countedSequences: NumberColumn = new NumberColumn();
  readonly counts: Uint32Column = new Uint32Column();
  /** Rows of the counts that came with a time before which the message is not delivered, and that time. */
  readonly delayedRows: Uint32Column = new Uint32Column();
  readonly delayedUntil: NumberColumn = new NumberColumn();
  marks: GatheredMarks | undefined;
  readonly discards: { readonly through: number; readonly kept: readonly number[] }[] = [];
}

/** Puts together what is in the queues from the segments' indexes, given oldest first (J3). */
export class RecoveredQueues {
  readonly #gathered = new Map<number, Gathered>();

  add(segment: number, index: SegmentIndex): void {
    const base = positionOf(segment, 0);
    const { sequences, offsets, queueIds, settledSequences, settledQueueIds } = index;
    for (let i = 0; i < sequences.length; i++) {
      const queue = this.#of(queueIds.array[i] as number);
      queue.sequences.push(sequences.array[i] as number);
      queue.positions.push(base + (offsets.array[i] as number));
    }
    this.#addMarks(base, index);
    for (let i = 0; i < settledSequences.length; i++) {
      this.#of(settledQueueIds.array[i] as number).settled.push(settledSequences.array[i] as number);
    }
    this.#addCounts(index);
    for (const discard of index.discards) this.#of(discard.queueId).discards.push(discard);
  }

  #addMarks(base: number, index: SegmentIndex): void {
    const { markedRows, sequences, offsets, queueIds, expiresAt, readyAt, priorities } = index;
    for (let i = 0; i < markedRows.length; i++) {
      const row = markedRows.array[i] as number;
      const queue = this.#of(queueIds.array[row] as number);
      queue.marks ??= new GatheredMarks();
      queue.marks.add(sequences.array[row] as number, base + (offsets.array[row] as number), {
        expiresAt: expiresAt.array[i] as number,
        readyAt: readyAt.array[i] as number,
        priority: priorities.array[i] as number,
      });
    }
  }

  #addCounts(index: SegmentIndex): void {
    const { counts, countedQueueIds, countedSequences, delayedRows, delayedUntil } = index;
    let delayed = 0;
    for (let i = 0; i < counts.length; i++) {
      const queue = this.#of(countedQueueIds.array[i] as number);
      if (delayed < delayedRows.length && delayedRows.array[delayed] === i) {
        queue.delayedRows.push(queue.counts.length);
        queue.delayedUntil.push(delayedUntil.array[delayed++] as number);
      }
      queue.countedSequences.push(countedSequences.array[i] as number);
      queue.counts.push(counts.array[i] as number);
    }
  }

  #last: { readonly id: number; readonly queue: Gathered } | undefined;

  /** Neighbours are mostly of the same queue. */
  #of(id: number): Gathered {
    if (this.#last?.id === id) return this.#last.queue;
    let queue = this.#gathered.get(id);
    if (queue === undefined) this.#gathered.set(id, (queue = new Gathered()));
    this.#last = { id, queue };
    return queue;
  }

  /** What is left in each queue, in order of sequence. Queues with nothing are left out. Can be called once. */
  finish(): Map<number, StoredEntries> {
    const queues = new Map<number, StoredEntries>();
    for (const [id, gathered] of this.#gathered) {
      this.#gathered.delete(id);
      const entries = entriesOf(gathered);
      if (entries.length > 0) queues.set(id, entries);
    }
    this.#last = undefined;
    return queues;
  }
}

function entriesOf(gathered: Gathered): StoredEntries {
  const [sequences, positions] = inOrder(gathered.sequences.values(), gathered.positions.values());
  const settled = gathered.settled.values();
  if (!isAscending(settled)) settled.sort();
  let length = 0;
  let nextSettled = 0;
  for (let i = 0; i < sequences.length; i++) {
    const sequence = sequences[i] as number;
    // Of two places of a message the later one is its copy's.
    if (sequences[i + 1] === sequence) continue;
    while (nextSettled < settled.length && (settled[nextSettled] as number) < sequence) nextSettled++;
    if (settled[nextSettled] === sequence) continue;
    sequences[length] = sequence;
    positions[length] = positions[i] as number;
    length++;
  }
  length = discardFrom(sequences, positions, length, gathered.discards);
  return {
    length,
    sequences: sequences.subarray(0, length),
    positions: positions.subarray(0, length),
    ...saidOf(gathered, sequences.subarray(0, length), positions.subarray(0, length)),
  };
}

/**
 * The messages' delivery counts and marks. A requeue says both the count and when the message is ready, in place of what
 * was said before; a copy says what was said last, as its mark, and as a requeue if it has a count.
 */
function saidOf(
  { marks: found, countedSequences, counts, delayedRows, delayedUntil }: Gathered,
  sequences: Float64Array,
  positions: Float64Array,
): Omit<StoredEntries, 'length' | 'sequences' | 'positions'> {
  const deliveryCounts = new Uint32Array(sequences.length);
  const marks = new FilledMarks(sequences.length);
  found?.fill(marks, sequences, positions);
  let delayed = 0;
  for (let i = 0; i < counts.length; i++) {
    const isDelayed = delayed < delayedRows.length && delayedRows.array[delayed] === i;
    const readyAt = isDelayed ? (delayedUntil.array[delayed++] as number) : 0;
    const sequence = countedSequences.array[i] as number;
    const row = lowerBound(sequences, sequence);
    if (sequences[row] !== sequence) continue;
    deliveryCounts[row] = counts.array[i] as number;
    if (!PLANTED.readyAtForgotten) marks.set('readyAt', row, readyAt);
  }
  return { deliveryCounts, ...marks.finish() };
}

/**
 * Returns how many are left: those that every discard which reaches so far has kept. Whoever is kept by a discard is below
 * its end, so counting is enough, and takes one pass however many discards there are.
 */
function discardFrom(
  sequences: Float64Array,
  positions: Float64Array,
  count: number,
  discards: Gathered['discards'],
): number {
  if (discards.length === 0) return count;
  const ends = discards
    .map(({ through }) => (PLANTED.purgeTakesLater ? Infinity : through))
    .toSorted((a, b) => a - b);
  const keptBy = new Map<number, number>();
  for (const { kept } of discards) {
    for (const sequence of new Set(kept)) keptBy.set(sequence, (keptBy.get(sequence) ?? 0) + 1);
  }
  let left = 0;
  let passed = 0;
  for (let i = 0; i < count; i++) {
    const sequence = sequences[i] as number;
    while (passed < ends.length && (ends[passed] as number) < sequence) passed++;
    if ((keptBy.get(sequence) ?? 0) < ends.length - passed) continue;
    sequences[left] = sequence;
    positions[left] = positions[i] as number;
    left++;
  }
  return left;
}

function isAscending(values: Float64Array): boolean {
  for (let i = 1; i < values.length; i++) if ((values[i - 1] as number) > (values[i] as number)) return false;
  return true;
}

/**
 * Both columns in order of sequence, then of position. As found they are a few runs in order (what was published, and
 * what each compaction brought forward), which are merged pair by pair: no row becomes an object.
 */
function inOrder(sequences: Float64Array, positions: Float64Array): [Float64Array, Float64Array] {
  let runs = runsOf(sequences);
  let from: [Float64Array, Float64Array] = [sequences, positions];
  while (runs.length > 2) {
    const to: typeof from = [new Float64Array(sequences.length), new Float64Array(sequences.length)];
    const merged = [0];
    for (let i = 0; i + 1 < runs.length; i += 2) {
      const [start, middle, end] = [runs[i], runs[i + 1], runs[i + 2] ?? runs[i + 1]] as number[];
      mergeRuns(from, to, start as number, middle as number, end as number);
      merged.push(end as number);
    }
    runs = merged;
    from = to;
  }
  return from;
}

/** Where runs in ascending order start, and the end of the last. */
function runsOf(values: Float64Array): number[] {
  const starts = [0];
  for (let i = 1; i < values.length; i++) {
    if ((values[i - 1] as number) > (values[i] as number)) starts.push(i);
  }
  starts.push(values.length);
  return starts;
}

/** Equal sequences keep their order: positions grow from run to run. */
function mergeRuns(
  [fromSequences, fromPositions]: [Float64Array, Float64Array],
  [toSequences, toPositions]: [Float64Array, Float64Array],
  start: number,
  middle: number,
  end: number,
): void {
  let left = start;
  let right = middle;
  for (let at = start; at < end; at++) {
    const takeLeft =
      left < middle && (right >= end || (fromSequences[left] as number) <= (fromSequences[right] as number));
    const source = takeLeft ? left++ : right++;
    toSequences[at] = fromSequences[source] as number;
    toPositions[at] = fromPositions[source] as number;
  }
}
