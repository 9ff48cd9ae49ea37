import type { Consumer } from './consumer.js';
import type { ReadyEntry } from './ready-index.js';

/** The map of what is unsettled is kept for so many settlements after it was last asked for. */
const KEPT_FOR = 100_000;
/** With so many others those that have none are swept out. */
const OTHERS_MAX = 64;

/**
 * What of a queue was delivered and is not settled. Consumers know their deliveries, so nothing but the number is kept
 * while all goes its way. Who looks for a single message (the store does, when it brings messages forward) gets a map
 * made, which is kept up to date from then on until it was not asked for long.
 */
export class UnsettledDeliveries {
  #count = 0;
  /** Who has some and is not among the consumers: cancelled ones, and who gets single messages. */
  #others: Set<Consumer> | undefined;
  #bySequence: Map<number, ReadyEntry> | undefined;
  #keptFor = 0;

  /** `consumers` are those of the queue, and change with it. */
  constructor(private readonly consumers: Iterable<Consumer>) {}

  get count(): number {
    return this.#count;
  }

  /** `holder`, which is not among the queue's consumers, has some or is about to. */
  heldBy(holder: Consumer): void {
    this.#others ??= new Set();
    if (this.#others.size >= OTHERS_MAX)
      for (const one of this.#others) if (one.unsettledCount === 0) this.#others.delete(one);
    this.#others.add(holder);
  }

  add(entry: ReadyEntry): void {
    this.#count++;
    this.#bySequence?.set(entry.sequence, entry);
  }

  remove(entry: ReadyEntry): void {
    this.#count--;
    if (this.#bySequence === undefined) return;
    this.#bySequence.delete(entry.sequence);
    if (--this.#keptFor <= 0) this.#bySequence = undefined;
  }

  find(sequence: number): ReadyEntry | undefined {
    if (this.#count === 0) return undefined;
    this.#keptFor = KEPT_FOR;
    this.#bySequence ??= new Map(this.#entries().map((entry) => [entry.sequence, entry]));
    return this.#bySequence.get(sequence);
  }

  /** Of all of them, in no order. */
  sequences(): number[] {
    return this.#entries().map(({ sequence }) => sequence);
  }

  #entries(): ReadyEntry[] {
    const holders = [...this.consumers, ...(this.#others ?? [])];
    return holders.flatMap((holder) => holder.unsettled().map(({ entry }) => entry));
  }
}
