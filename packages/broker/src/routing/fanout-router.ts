import type { Router } from './router.js';

/** AMQP 0-9-1 section 3.1.3.2: every destination, whatever the keys. */
export class FanoutRouter<T> implements Router<T> {
  readonly #keys = new Map<T, Set<string>>();
  #destinations: ReadonlySet<T> = new Set();

  bind(key: string, destination: T): void {
    const keys = this.#keys.get(destination);
    if (keys === undefined) this.#keys.set(destination, new Set([key]));
    else keys.add(key);
    this.#destinations = new Set(this.#keys.keys());
  }

  unbind(key: string, destination: T): boolean {
    const keys = this.#keys.get(destination);
    if (keys === undefined || !keys.delete(key)) return false;
    if (keys.size === 0) this.#keys.delete(destination);
    this.#destinations = new Set(this.#keys.keys());
    return true;
  }

  route(): ReadonlySet<T> {
    return this.#destinations;
  }
}
