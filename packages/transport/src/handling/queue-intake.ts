import type { Link, LinkDelivery, Subscription } from '../links/link.js';
import type { QueueHandlers } from './handler-table.js';
import type { Lanes } from './lanes/lanes.js';

export interface QueueIntakeInit {
  readonly handlers: QueueHandlers;
  readonly link: () => Link;
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
  /** Resolves when the queue has been let go. */
  #stopping: Promise<void> | undefined;
  /** What came after the stop, while the queue could not be let go yet. */
  readonly #late: LinkDelivery[] = [];

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

  /** Resolves when messages come. Idempotent. */
  async start(): Promise<void> {
    await this.#stopping;
    if (this.#opening !== undefined && !this.isDeleted) return;
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
    const { handlers, link, onDelivery, onDeleted, onLost } = this.#init;
    return link().consume(handlers.queue, {
      prefetchCount: handlers.prefetchCount,
      noAck: handlers.noAck,
      onDelivery: (delivery) => {
        const isLate = this.#opening !== opening || this.#stopping !== undefined;
        if (isLate && !delivery.settled) this.#onLate(delivery);
        else onDelivery(delivery);
      },
      onCancel: () => {
        opening.isDeleted = true;
        onDeleted();
      },
      onLost,
    });
  }

  #onLate(delivery: LinkDelivery): void {
    // It would come at once again, as long as the queue is consumed.
    if (this.#stopping !== undefined) this.#late.push(delivery);
    else delivery.requeue({ failed: false });
  }

  /**
   * No message begins any more; what runs goes on, and what has not begun goes back. A queue with an order is let go
   * when what runs in its order has ended. Idempotent.
   */
  stop(): void {
    if (this.#opening === undefined || this.#stopping !== undefined) return;
    const idle = this.#init.lanes.stop();
    if (idle === undefined) this.#letGo();
    else this.#stopping = idle.then(() => this.#letGo());
  }

  #letGo(): void {
    this.#opening?.subscription?.cancel();
    this.#opening = undefined;
    this.#stopping = undefined;
    for (const delivery of this.#late.splice(0)) delivery.requeue({ failed: false });
    this.#init.lanes.release();
  }
}
