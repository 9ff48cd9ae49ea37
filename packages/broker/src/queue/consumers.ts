import type { Consumer } from './consumer.js';

/**
 * Who is next. Consumers take turns; those of a higher priority come first as long as they have credit
 * (rabbitmq.com/docs/consumer-priority). With `singleActive` one alone gets messages until it goes, whatever its credit;
 * then the first of the others, by priority and age (rabbitmq.com/docs/consumers, "Single Active Consumer").
 */
export class Consumers {
  /** The higher priority first. In the order of coming where all have the same, or one is active; else of serving. */
  readonly #all: Consumer[] = [];
  #next = 0;
  /** Not all have the same priority. */
  #isMixed = false;
  readonly #singleActive: boolean;
  #active: Consumer | undefined;

  constructor(singleActive: boolean) {
    this.#singleActive = singleActive;
  }

  get count(): number {
    return this.#all.length;
  }

  [Symbol.iterator](): Iterator<Consumer> {
    return this.#all.values();
  }

  add(consumer: Consumer): void {
    this.#insert(consumer);
    if (this.#singleActive) this.#active ??= consumer;
    this.#isMixed = this.#all[0]?.priority !== this.#all.at(-1)?.priority;
  }

  /** Behind those of its priority. */
  #insert(consumer: Consumer): void {
    const at = this.#all.findIndex(({ priority }) => priority < consumer.priority);
    this.#all.splice(at < 0 ? this.#all.length : at, 0, consumer);
  }

  /** False: it is not there. */
  remove(consumer: Consumer): boolean {
    const at = this.#all.indexOf(consumer);
    if (at < 0) return false;
    this.#all.splice(at, 1);
    if (this.#next > at) this.#next--;
    this.#isMixed = this.#all[0]?.priority !== this.#all.at(-1)?.priority;
    if (this.#active === consumer) this.#active = this.#all[0];
    return true;
  }

  /** Removes them all. */
  takeAll(): Consumer[] {
    this.#active = undefined;
    return this.#all.splice(0);
  }

  /** The next one that has credit. It stays the next until it was {@link served}. */
  next(): Consumer | undefined {
    if (this.#singleActive) return this.#active?.hasCredit() === true ? this.#active : undefined;
    if (this.#isMixed) return this.#all.find((consumer) => consumer.hasCredit());
    const count = this.#all.length;
    for (let tried = 0; tried < count; tried++) {
      const at = (this.#next + tried) % count;
      const consumer = this.#all[at] as Consumer;
      if (!consumer.hasCredit()) continue;
      this.#next = at;
      return consumer;
    }
    return undefined;
  }

  /** What {@link next} gave got a message: the others of its priority have their turn. */
  served(consumer: Consumer): void {
    if (!this.#isMixed) this.#next++;
    else if (!this.#singleActive) {
      this.#all.splice(this.#all.indexOf(consumer), 1);
      this.#insert(consumer);
    }
  }

  /** Somebody would take a message now. */
  hasCredit(): boolean {
    if (this.#singleActive) return this.#active?.hasCredit() === true;
    for (const consumer of this.#all) if (consumer.hasCredit()) return true;
    return false;
  }

  /** So many messages would be taken now. */
  get spareCredit(): number {
    let spare = 0;
    for (const consumer of this.#singleActive ? this.#all.filter((one) => one === this.#active) : this.#all)
      if (consumer.hasCredit()) spare += consumer.spareCredit;
    return spare;
  }
}
