import { createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';

/**
 * What a worker writes down:
 *
 * - `confirmed`: a publish, by the queue that it went to.
 * - `delivered`: a message came to a consumer. `garbled`: the same, with another body than was published.
 * - `requeued`: the delivery was given back.
 * - `handled`: what there was to do for the message was done; it is acked next.
 * - `settled`: its settlement in this queue, by an ack or a move, is known to be durable.
 * - `life`: a process began.
 */
export type LedgerKind = 'confirmed' | 'delivered' | 'garbled' | 'requeued' | 'handled' | 'settled' | 'life';

export interface LedgerEntry {
  readonly kind: LedgerKind;
  readonly queue: string;
  readonly number: number;
}

const NUMBER_DIGITS = 12;
const LINE = /^([a-z]+) ([a-z]+) (\d{12})$/;

/** Written with blocking writes, which survive a SIGKILL. */
export class Ledger {
  readonly #fd: number;

  constructor(path: string) {
    this.#fd = openSync(path, 'a');
    // The kill may have cut the last line: a line of another length than a whole one has does not count.
    writeSync(this.#fd, '\n');
  }

  write(kind: LedgerKind, queue: string, number: number): void {
    writeSync(this.#fd, lineOf({ kind, queue, number }));
  }

  /** Several lines in one write. */
  writeAll(entries: readonly LedgerEntry[]): void {
    if (entries.length > 0) writeSync(this.#fd, entries.map(lineOf).join(''));
  }
}

function lineOf({ kind, queue, number }: LedgerEntry): string {
  return `${kind} ${queue} ${String(number).padStart(NUMBER_DIGITS, '0')}\n`;
}

export async function* readLedger(path: string): AsyncGenerator<LedgerEntry> {
  for await (const line of createInterface({ input: createReadStream(path) })) {
    const match = LINE.exec(line);
    if (match === null) continue;
    yield { kind: match[1] as LedgerKind, queue: match[2] as string, number: Number(match[3]) };
  }
}
