import type { Consumer } from './consumer.js';
import type { Delivery } from './delivery.js';
import type { Loaded } from './ready-messages.js';

/** Who takes one message, if there is one, and is not a consumer (AMQP 0-9-1, `basic.get`). */
export interface Getter {
  /** Holds what it took until that is settled. It is in no queue's list. */
  readonly holder: Consumer;
  readonly onMessage: (delivery: Delivery) => void;
  readonly onEmpty: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** What a queue has for them now: a message, none, or one that has yet to come from the disk, or can't be read. */
export type Offer = Loaded | 'none' | 'coming' | { readonly error: unknown };

/** Those who wait for a queue's turn, or for its disk: who finds nothing is told so. */
export class Getters {
  #waiting: Getter[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  add(getter: Getter): void {
    this.#waiting.push(getter);
  }

  /** Serves them in order, as far as it can now. */
  serve(offer: () => Offer, handOver: (getter: Getter, loaded: Loaded) => void): void {
    while (this.#waiting.length > 0) {
      const offered = offer();
      if (offered === 'coming') return;
      // Who comes while the queue stands still is told why, and does not wait until it goes on.
      if (offered !== 'none' && 'error' in offered) return this.#fail(offered.error);
      const getter = this.#waiting.shift() as Getter;
      if (offered === 'none') getter.onEmpty();
      else handOver(getter, offered);
    }
  }

  #fail(error: unknown): void {
    for (const { onFailure } of this.#waiting.splice(0)) onFailure(error);
  }
}
