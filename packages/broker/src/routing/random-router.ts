import { NOWHERE, type Router } from './router.js';

interface Bound<T> {
  readonly keys: Set<string>;
  /** What is routed to it alone. */
  readonly alone: ReadonlySet<T>;
}

/** Each message to one of the destinations by chance, whatever the keys; as RabbitMQ's plugin rabbitmq_random_exchange. */
export class RandomRouter<T> implements Router<T> {
  readonly #random: () => number;
  readonly #bound = new Map<T, Bound<T>>();
  #all: readonly ReadonlySet<T>[] = [];

  /** `random` gives numbers from 0 to 1, without 1. */
  constructor(random: () => number) {
    this.#random = random;
  }

  bind(key: string, destination: T): void {
    const known = this.#bound.get(destination);
    if (known === undefined)
      this.#bound.set(destination, { keys: new Set([key]), alone: new Set([destination]) });
    else known.keys.add(key);
    this.#list();
  }

  unbind(key: string, destination: T): boolean {
    const known = this.#bound.get(destination);
    if (known === undefined || !known.keys.delete(key)) return false;
    if (known.keys.size === 0) this.#bound.delete(destination);
    this.#list();
    return true;
  }

  #list(): void {
    this.#all = [...this.#bound.values()].map(({ alone }) => alone);
  }

  route(): ReadonlySet<T> {
    return this.#all[Math.floor(this.#random() * this.#all.length)] ?? NOWHERE;
  }
}
