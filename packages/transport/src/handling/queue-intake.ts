import type { Link, LinkDelivery, Subscription } from '../links/link.js';
import type { QueueHandlers } from './handler-table.js';
import type { Lanes } from './lanes/lanes.js';

export interface QueueIntakeInit {
  readonly handlers: QueueHandlers;
  readonly link: () => Link;
  readonly deliveryLimit: number;
  readonly lanes: Lanes;
  readonly onDelivery: (delivery: LinkDelivery) => void;
  /** The queue is gone. */
  readonly onDeleted: () => void;
  readonly onLost: (delivery: LinkDelivery) => void;
}

/** What comes from one start to the next stop. */
interface Opening {
  subscription?: Subscription;
  isDeleted?: true;
}

/** Whether messages of a queue come in. */
export class QueueIntake {
  readonly #init: QueueIntakeInit;
  /** Undefined when it has been let go. */
  #opening: Opening | undefined;
  /** Whether it was started last, not stopped: it may still be stopping. */
  #isWanted = false;
  /** Resolves when a queue with an order has been let go. */
  #stopping: Promise<void> | undefined;
  #onStopped: () => void = () => {};
  /** Deliveries that are not done with. */
  #under = 0;

  constructor(init: QueueIntakeInit) {
    this.#init = init;
  }

  get isOpen(): boolean {
    return this.#opening?.subscription !== undefined && !this.isDeleted && this.#stopping === undefined;
  }

  /** Its queue is gone. */
  get isDeleted(): boolean {
    return this.#opening?.isDeleted === true;
  }

  /** Resolves when messages come, or when it was stopped meanwhile. Idempotent. */
  async start(): Promise<void> {
    this.#isWanted = true;
    if (this.#stopping !== undefined) await this.#stopping;
    if (!this.#isWanted || (this.#opening !== undefined && !this.isDeleted)) return;
    const opening: Opening = {};
    this.#opening = opening;
    this.#init.lanes.start();
    try {
      opening.subscription = await this.#consume(opening);
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
    // It was stopped meanwhile.
    if (this.#opening !== opening) opening.subscription.cancel();
  }

  #consume(opening: Opening): Promise<Subscription> {
    const { handlers, link, deliveryLimit, onDelivery, onDeleted, onLost } = this.#init;
    return link().consume(handlers.queue, {
      prefetchCount: handlers.prefetchCount,
      noAck: handlers.noAck,
      deliveryLimit,
      onDelivery: (delivery) => {
        const isLate = this.#opening !== opening || this.#stopping !== undefined;
        if (isLate && !delivery.settled) this.giveBack(delivery);
        else onDelivery(delivery);
      },
      onCancel: () => {
        opening.isDeleted = true;
        onDeleted();
      },
      onLost,
    });
  }

  /** A delivery is under way. */
  begin(): void {
    this.#under += 1;
  }

  /** It is done with, or goes back. */
  end(): void {
    this.#under -= 1;
    if (this.#under === 0 && this.#stopping !== undefined) this.#letGo();
  }

  /** To its place. While it is stopping it would come at once again: it is kept, and goes back with the queue. */
  giveBack(delivery: LinkDelivery): void {
    if (this.#stopping === undefined) delivery.requeue({ failed: false });
  }

  /**
   * No message begins any more; what runs goes on, and what has not begun goes back. A queue with an order is let go
   * when nothing of it runs any more, and then all goes back at once: the next instance would begin with messages after
   * those that this one has. Idempotent.
   */
  stop(): void {
    this.#isWanted = false;
    if (this.#opening === undefined || this.#stopping !== undefined) return;
    if (this.#init.handlers.isOrdered && this.#under > 0) {
      this.#stopping = new Promise((resolve) => {
        this.#onStopped = resolve;
      });
    } else this.#letGo();
    this.#init.lanes.stop();
  }

  #letGo(): void {
    const subscription = this.#opening?.subscription;
    if (this.#init.handlers.isOrdered) subscription?.giveUp();
    else subscription?.cancel();
    this.#opening = undefined;
    this.#stopping = undefined;
    this.#onStopped();
  }
}
