import type { Consumer } from './consumer.js';

/** Consumers of one priority, in the order in which they came. */
interface Group {
  readonly priority: number;
  readonly consumers: Consumer[];
  /** Whose turn is next. */
  next: number;
}

/**
 * Who is next. Consumers of the highest priority that has one with credit take turns (rabbitmq.com/docs/consumer-priority).
 * With `singleActive` only one gets messages, whatever its credit, until it goes; then the first of the others, by
 * priority and age (rabbitmq.com/docs/consumers, "Single Active Consumer").
 */
export class Consumers {
  /** The highest priority first; mostly there is one. */
  readonly #groups: Group[] = [];
  readonly #singleActive: boolean;
  #active: Consumer | undefined;
  #count = 0;

  constructor(singleActive: boolean) {
    this.#singleActive = singleActive;
  }

  get count(): number {
    return this.#count;
  }

  *[Symbol.iterator](): Generator<Consumer> {
    for (const { consumers } of this.#groups) yield* consumers;
  }

  add(consumer: Consumer): void {
    this.#groupOf(consumer.init.priority).consumers.push(consumer);
    this.#count++;
    if (this.#singleActive) this.#active ??= consumer;
  }

  #groupOf(priority: number): Group {
    const at = this.#groups.findIndex((group) => group.priority <= priority);
    const found = this.#groups[at];
    if (found?.priority === priority) return found;
    const group = { priority, consumers: [], next: 0 };
    this.#groups.splice(at < 0 ? this.#groups.length : at, 0, group);
    return group;
  }

  /** False: it is not there. */
  remove(consumer: Consumer): boolean {
    const group = this.#groups.find(({ consumers }) => consumers.includes(consumer));
    if (group === undefined) return false;
    const at = group.consumers.indexOf(consumer);
    group.consumers.splice(at, 1);
    if (group.next > at) group.next--;
    this.#count--;
    if (group.consumers.length === 0) this.#groups.splice(this.#groups.indexOf(group), 1);
    if (this.#active === consumer) this.#active = this.#groups[0]?.consumers[0];
    return true;
  }

  /** The next one in turn that has credit. It keeps its turn until it was {@link served}. */
  next(): Consumer | undefined {
    if (this.#singleActive) return this.#active?.hasCredit() ? this.#active : undefined;
    for (const group of this.#groups) {
      const { consumers, next } = group;
      for (let tried = 0; tried < consumers.length; tried++) {
        const at = (next + tried) % consumers.length;
        const consumer = consumers[at] as Consumer;
        if (!consumer.hasCredit()) continue;
        group.next = at;
        return consumer;
      }
    }
    return undefined;
  }

  /** It got a message: others of its priority are before it now. */
  served({ init }: Consumer): void {
    const group = this.#groups.length === 1 ? this.#groups[0] : this.#groupOf(init.priority);
    if (group !== undefined) group.next++;
  }

  /** Somebody could take a message now. */
  hasCredit(): boolean {
    return this.next() !== undefined;
  }

  /** So many messages could be taken now. */
  get spareCredit(): number {
    let spare = 0;
    for (const consumer of this.#singleActive && this.#active ? [this.#active] : this) {
      if (consumer.hasCredit()) spare += consumer.spareCredit;
    }
    return spare;
  }

  /** Removes them all. */
  takeAll(): Consumer[] {
    const all = [...this];
    this.#groups.length = 0;
    this.#active = undefined;
    this.#count = 0;
    return all;
  }
}
