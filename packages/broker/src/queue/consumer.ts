import type { Delivery } from './delivery.js';
import type { Queue } from './queue.js';

export interface ConsumerInit {
  readonly tag: string;
  /** Deliveries that may be unsettled at once; 0 is no limit. */
  readonly prefetchCount: number;
  /** A delivery is settled as it is handed over. */
  readonly noAck: boolean;
  readonly exclusive: boolean;
  /** Beside its own prefetch: nothing is delivered while this says no. Who says yes again calls {@link Consumer.wake}. */
  readonly mayDeliver?: (() => boolean) | undefined;
  /** Must not throw. */
  readonly onDelivery: (delivery: Delivery) => void;
  /** The queue was deleted: no delivery comes any more. */
  readonly onCancel: () => void;
}

/** Who takes messages from one queue. */
export class Consumer {
  /** By sequence. */
  readonly unsettled: Map<number, Delivery> = new Map();
  cancelled: boolean = false;

  constructor(
    readonly queue: Queue,
    readonly init: ConsumerInit,
  ) {}

  get tag(): string {
    return this.init.tag;
  }

  hasCredit(): boolean {
    const { prefetchCount, mayDeliver } = this.init;
    if (this.cancelled || (prefetchCount !== 0 && this.unsettled.size >= prefetchCount)) return false;
    return mayDeliver === undefined || mayDeliver();
  }

  deliver(delivery: Delivery): void {
    this.hold(delivery);
    this.init.onDelivery(delivery);
  }

  hold(delivery: Delivery): void {
    this.unsettled.set(delivery.entry.sequence, delivery);
    if (this.init.noAck) delivery.ack();
  }

  onSettled(delivery: Delivery): void {
    this.unsettled.delete(delivery.entry.sequence);
    this.queue.schedule();
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
    for (const delivery of this.unsettled.values()) delivery.requeue({ failed: false });
  }
}
