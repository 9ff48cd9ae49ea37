import type { Broker, Delivery } from '@nestmq/broker';

/**
 * The messages of a broker that may be what its process dies of: one of them is in hand at a time, whatever its queue. Were
 * it one of each queue, the one that kills would take the long ones of other queues with it, from death to death.
 */
export class Suspects {
  #inHand: Delivery | undefined;
  readonly #waiting = new Set<() => void>();

  /** False: another one is in hand. `wake` is called once when that may have changed; it must not throw. */
  take(delivery: Delivery, wake: () => void): boolean {
    if (this.#inHand === undefined) {
      this.#inHand = delivery;
      return true;
    }
    this.#waiting.add(wake);
    return false;
  }

  /** It is settled. */
  leave(delivery: Delivery): void {
    if (this.#inHand !== delivery) return;
    this.#inHand = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}

const all = new WeakMap<Broker, Suspects>();

export function suspectsOf(broker: Broker): Suspects {
  let suspects = all.get(broker);
  if (suspects === undefined) all.set(broker, (suspects = new Suspects()));
  return suspects;
}
