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
  /** Its count says already that it was made. */
  #isCounted = false;
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

  /** The broker found the message when it was opened: in the process before, it may have been in hand at the end. */
  get isFound(): boolean {
    return this.entry.sequence <= this.queue.foundThrough;
  }

  /** How often it was given back as failed, or {@link count}ed. */
  get deliveryCount(): number {
    return this.entry.deliveryCount;
  }

  /**
   * Counts this delivery now, as if it had failed, so that a process which dies of it has left word of that: durable with the
   * next commit. Given back without having failed, the message has its former count again. Idempotent.
   */
  count(): void {
    if (this.#settled || this.#isCounted) return;
    this.#isCounted = true;
    this.#setCount(this.entry.deliveryCount + 1);
  }

  #setCount(deliveryCount: number): void {
    const { queue, entry } = this;
    entry.deliveryCount = deliveryCount;
    if (queue.init.durable) queue.store.requeue(queue.id, entry.sequence, entry.position, deliveryCount);
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
    // What comes back failed is counted by its queue.
    if (this.#isCounted) this.#setCount(this.entry.deliveryCount - 1);
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
