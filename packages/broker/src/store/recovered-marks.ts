import { lowerBound, NumberColumn, Uint32Column } from './columns.js';
import type { QueueMark, StoredEntries } from './message-store.js';
import type { Position } from './record.js';

/** The columns of {@link StoredEntries} that are there only when some message has something in them. */
export type MarkColumns = Pick<StoredEntries, 'expiresAt' | 'readyAt' | 'priorities'>;

/** The mark of a row; all 0 when there is none. */
export function markAt({ expiresAt, readyAt, priorities }: MarkColumns, row: number): QueueMark {
  return {
    expiresAt: expiresAt?.[row] ?? 0,
    readyAt: readyAt?.[row] ?? 0,
    priority: priorities?.[row] ?? 0,
  };
}

/** What the segments say of the marks of one queue's messages, as it was found. */
export class GatheredMarks {
  readonly #sequences = new NumberColumn();
  /** A mark is of one record: of two with the message, the later one's counts, with or without a mark. */
  readonly #positions = new NumberColumn();
  readonly #expiresAt = new NumberColumn();
  readonly #readyAt = new NumberColumn();
  readonly #priorities = new Uint32Column();

  add(sequence: number, position: Position, mark: QueueMark): void {
    this.#sequences.push(sequence);
    this.#positions.push(position);
    this.#expiresAt.push(mark.expiresAt);
    this.#readyAt.push(mark.readyAt);
    this.#priorities.push(mark.priority);
  }

  /** Writes the marks of the messages that are left into the columns. */
  fill(columns: FilledMarks, sequences: Float64Array, positions: Float64Array): void {
    let row = -1;
    for (let i = 0; i < this.#sequences.length; i++) {
      const sequence = this.#sequences.array[i] as number;
      // Mostly they are in order, and have no gaps.
      row = sequences[row + 1] === sequence ? row + 1 : lowerBound(sequences, sequence);
      if (sequences[row] !== sequence || positions[row] !== this.#positions.array[i]) continue;
      columns.set('expiresAt', row, this.#expiresAt.array[i] as number);
      columns.set('readyAt', row, this.#readyAt.array[i] as number);
      columns.set('priorities', row, this.#priorities.array[i] as number);
    }
  }
}

/** {@link MarkColumns} that are being filled: made when the first value comes. */
export class FilledMarks {
  readonly #columns: Partial<Record<keyof MarkColumns, Float64Array | Uint8Array>> = {};

  constructor(private readonly length: number) {}

  set(column: keyof MarkColumns, row: number, value: number): void {
    if (value === 0 && this.#columns[column] === undefined) return;
    const values = (this.#columns[column] ??=
      column === 'priorities' ? new Uint8Array(this.length) : new Float64Array(this.length));
    values[row] = value;
  }

  /** Those with something in them. */
  finish(): MarkColumns {
    // What requeues have set back may have been all of it.
    if (this.#columns.readyAt?.every((value) => value === 0) === true) delete this.#columns.readyAt;
    return this.#columns as MarkColumns;
  }
}
