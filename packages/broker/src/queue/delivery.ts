import type { Message } from '../message/message.js';
import type { Consumer } from './consumer.js';
import type { Queue } from './queue.js';
import type { ReadyEntry } from './ready-index.js';

/**
 * One message handed to one consumer. It is settled once: the first of `ack`, `requeue`, `discard` counts and returns
 * true, later ones do nothing and return false.
 */
export class Delivery {
  #settled = false;
  /** Its neighbours among the consumer's unsettled deliveries. @internal */
  previous: Delivery | undefined = undefined;
  /** @internal */
  next: Delivery | undefined = undefined;

  constructor(
    readonly queue: Queue,
    readonly consumer: Consumer,
    readonly entry: ReadyEntry,
    readonly message: Message,
  ) {}

  get settled(): boolean {
    return this.#settled;
  }

  /** It may have been delivered before: to this consumer or another one, or before a crash. */
  get redelivered(): boolean {
    return this.entry.redelivered;
  }

  /** How often it was given back as failed; the attempt that this delivery is has the number one above. */
  get deliveryCount(): number {
    return this.entry.deliveryCount;
  }

  /** The message is done with. Durable with the next commit; after a crash before that it comes again. */
  ack(): boolean {
    if (!this.#settleOnce()) return false;
    this.queue.settle(this.entry);
    return true;
  }

  /** Gives the message up: it goes to the queue's dead-letter exchange, if there is one (`basic.reject` without requeue). */
  discard(): boolean {
    if (!this.#settleOnce()) return false;
    this.queue.discard(this.entry, this.message);
    return true;
  }

  /** Back to its original place, redelivered. `failed` counts it as an attempt, and that count survives a crash. */
  requeue({ failed }: { readonly failed: boolean }): boolean {
    if (!this.#settleOnce()) return false;
    this.queue.putBack(this.entry, failed, this.message);
    return true;
  }

  /** For moves: settles the delivery if `take`, which takes the message out of the queue, does not throw. */
  settleBy(take: (queue: Queue, entry: ReadyEntry) => void): boolean {
    if (this.#settled) return false;
    take(this.queue, this.entry);
    this.#settleOnce();
    this.queue.taken(this.entry);
    return true;
  }

  #settleOnce(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.consumer.onSettled(this);
    return true;
  }
}
