import { type LedgerEntry, readLedger } from './ledger.js';

/** What became of the messages of all lives of a worker. */
export interface Verdict {
  readonly confirmed: number;
  readonly handled: number;
  /** Of the handled, those that had been handled before. */
  readonly repeated: number;
  /** Settlements that were known to be durable. */
  readonly settled: number;
  /** Confirmed numbers that were never handled. */
  readonly lost: number;
  /** Deliveries from a queue in which the message's settlement was known to be durable. */
  readonly resurrected: number;
  /** Deliveries after one of a later message in the same life, of messages that were not given back in it. */
  readonly outOfOrder: number;
  /** Deliveries with another body than was published. */
  readonly garbled: number;
}

/** Reads a ledger whose worker has been drained, and tells what became of the confirmed messages. */
export async function verdictOf(ledger: string): Promise<Verdict> {
  const tally = new Tally();
  for await (const entry of readLedger(ledger)) tally.add(entry);
  return tally.verdict();
}

/** Takes entries in the order in which they were written, life after life. */
class Tally {
  readonly #confirmed = new Set<number>();
  readonly #handled = new Set<number>();
  readonly #queues = new Map<string, QueueTally>();
  readonly #counts = { handled: 0, settled: 0, garbled: 0 };

  add({ kind, queue, number }: LedgerEntry): void {
    if (kind === 'life') for (const one of this.#queues.values()) one.begin();
    if (kind === 'confirmed') this.#confirmed.add(number);
    if (kind === 'handled') this.#handled.add(number);
    if (kind === 'handled' || kind === 'settled' || kind === 'garbled') this.#counts[kind]++;
    if (kind === 'delivered') this.#queue(queue).deliver(number);
    if (kind === 'requeued') this.#queue(queue).requeued.add(number);
    if (kind === 'settled') this.#queue(queue).settled.add(number);
  }

  verdict(): Verdict {
    const { handled, settled, garbled } = this.#counts;
    const queues = [...this.#queues.values()];
    let lost = 0;
    for (const number of this.#confirmed) if (!this.#handled.has(number)) lost++;
    return {
      confirmed: this.#confirmed.size,
      handled,
      repeated: handled - this.#handled.size,
      settled,
      lost,
      resurrected: queues.reduce((sum, queue) => sum + queue.resurrected, 0),
      outOfOrder: queues.reduce((sum, queue) => sum + queue.outOfOrder, 0),
      garbled,
    };
  }

  #queue(name: string): QueueTally {
    let queue = this.#queues.get(name);
    if (queue === undefined) this.#queues.set(name, (queue = new QueueTally()));
    return queue;
  }
}

class QueueTally {
  readonly settled = new Set<number>();
  /** In this life: they come again, in their own time. */
  readonly requeued = new Set<number>();
  resurrected = 0;
  outOfOrder = 0;
  #last = -1;

  /** What is not settled is delivered again, from the first on. */
  begin(): void {
    this.requeued.clear();
    this.#last = -1;
  }

  deliver(number: number): void {
    if (this.settled.has(number)) this.resurrected++;
    if (this.requeued.has(number)) return;
    if (number <= this.#last) this.outOfOrder++;
    this.#last = Math.max(this.#last, number);
  }
}
