import type { Delivery } from './delivery.js';
import type { Queue } from './queue.js';

export interface ConsumerInit {
  readonly tag: string;
  /** Deliveries that may be unsettled at once; 0 is no limit. */
  readonly prefetchCount: number;
  /** A delivery is settled as it is handed over. */
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** The higher ones get messages first. @default 0 */
  readonly priority?: number | undefined;
  /** Beside its own prefetch: nothing is delivered while this says no. Who says yes again calls {@link Consumer.wake}. */
  readonly mayDeliver?: (() => boolean) | undefined;
  /** Must not throw. */
  readonly onDelivery: (delivery: Delivery) => void;
  /** A delivery was settled: called in the middle of it, so that what follows from it must come later. Must not throw. */
  readonly onSettled?: (() => void) | undefined;
  /** The queue was deleted: no delivery comes any more. */
  readonly onCancel: () => void;
}

/** Who takes messages from one queue. */
export class Consumer {
  #unsettledCount = 0;
  /** Any of the unsettled deliveries: each knows its neighbours, so that one goes without being looked for. */
  #first: Delivery | undefined;
  cancelled: boolean = false;

  readonly #unsettledMax: number;
  readonly #mayDeliver: (() => boolean) | undefined;
  readonly #onDelivery: (delivery: Delivery) => void;
  readonly #onSettled: (() => void) | undefined;
  readonly #noAck: boolean;

  constructor(
    readonly queue: Queue,
    readonly init: ConsumerInit,
  ) {
    this.#unsettledMax = init.prefetchCount === 0 ? Infinity : init.prefetchCount;
    this.#mayDeliver = init.mayDeliver;
    this.#onDelivery = init.onDelivery;
    this.#onSettled = init.onSettled;
    this.#noAck = init.noAck;
  }

  get tag(): string {
    return this.init.tag;
  }

  get unsettledCount(): number {
    return this.#unsettledCount;
  }

  /** The deliveries that are unsettled now, the latest first. */
  unsettled(): Delivery[] {
    const deliveries: Delivery[] = [];
    for (let one = this.#first; one !== undefined; one = one.next) deliveries.push(one);
    return deliveries;
  }

  /** @internal Of its queue. */
  hasCredit(): boolean {
    if (this.cancelled || this.#unsettledCount >= this.#unsettledMax) return false;
    return this.#mayDeliver === undefined || this.#mayDeliver();
  }

  get priority(): number {
    return this.init.priority ?? 0;
  }

  /** So many deliveries its prefetch allows now. */
  get spareCredit(): number {
    return this.#unsettledMax - this.#unsettledCount;
  }

  /** @internal Of its queue. */
  deliver(delivery: Delivery): void {
    this.hold(delivery);
    this.#onDelivery(delivery);
  }

  /** @internal Of its queue. */
  hold(delivery: Delivery): void {
    this.#unsettledCount++;
    delivery.next = this.#first;
    if (this.#first !== undefined) this.#first.previous = delivery;
    this.#first = delivery;
    if (this.#noAck) delivery.ack();
  }

  /** @internal Of its deliveries. */
  onSettled(delivery: Delivery): void {
    this.#unsettledCount--;
    const { previous, next } = delivery;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next !== undefined) next.previous = previous;
    delivery.previous = delivery.next = undefined;
    this.queue.schedule();
    this.#onSettled?.();
  }

  /** What kept it from taking deliveries may be gone. */
  wake(): void {
    this.queue.schedule();
  }

  /** No more deliveries; what is unsettled stays so until it is settled or {@link giveBack}. Idempotent. */
  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    this.queue.removeConsumer(this);
  }

  /** Requeues everything unsettled, as closing a channel does. */
  giveBack(): void {
    for (const delivery of this.unsettled()) delivery.requeue({ failed: false });
  }
}
