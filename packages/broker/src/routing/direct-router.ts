import { NOWHERE, type Router } from './router.js';

/** AMQP 0-9-1 section 3.1.3.1: the binding key equals the routing key. */
export class DirectRouter<T> implements Router<T> {
  readonly #bindings = new Map<string, Set<T>>();

  bind(key: string, destination: T): void {
    const bound = this.#bindings.get(key);
    if (bound === undefined) this.#bindings.set(key, new Set([destination]));
    else bound.add(destination);
  }

  unbind(key: string, destination: T): boolean {
    const bound = this.#bindings.get(key);
    if (bound === undefined || !bound.delete(destination)) return false;
    if (bound.size === 0) this.#bindings.delete(key);
    return true;
  }

  route(routingKey: string): ReadonlySet<T> {
    return this.#bindings.get(routingKey) ?? NOWHERE;
  }
}
