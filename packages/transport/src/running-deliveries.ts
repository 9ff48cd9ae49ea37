import type { LinkDelivery } from './links/link.js';

/** Deliveries that are with their handlers: whom a shutdown waits for, and what it gives back in the end. */
export class RunningDeliveries {
  readonly #running = new Map<LinkDelivery, AbortController | undefined>();
  #onIdle: (() => void) | undefined;

  get size(): number {
    return this.#running.size;
  }

  add(delivery: LinkDelivery): void {
    this.#running.set(delivery, undefined);
  }

  /** A controller is made for those who look at the signal only: few do. */
  signalOf(delivery: LinkDelivery): AbortSignal {
    let controller = this.#running.get(delivery);
    if (controller === undefined) {
      controller = new AbortController();
      if (this.#running.has(delivery)) this.#running.set(delivery, controller);
    }
    return controller.signal;
  }

  remove(delivery: LinkDelivery): void {
    this.#running.delete(delivery);
    if (this.#running.size === 0) this.#onIdle?.();
  }

  /** Resolves when no handler runs any more. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Aborts what still runs and gives its messages back; returns how many those are. */
  abandon(): number {
    const abandoned = this.#running.size;
    for (const [delivery, controller] of this.#running) {
      delivery.requeue({ failed: false });
      controller?.abort(new Error('The service is shutting down and the grace period is over.'));
    }
    this.#running.clear();
    return abandoned;
  }
}
