import { BrokerError } from './errors.js';

/** Where publishers wait while the disk is nearly full: one for all of a broker. */
export class PublishGate {
  #reason: string | undefined;
  #closed = false;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  /** Why nobody may publish now, if so. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Closes the gate for a reason, or opens it and lets go who waits, in order. */
  set(reason: string | undefined): void {
    this.#reason = reason;
    if (reason === undefined) for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Throws BLOCKED. */
  assertOpen(): void {
    if (this.#reason === undefined) return;
    throw new BrokerError('BLOCKED', this.#reason, {
      cure: 'Wait for `unblocked()`: consumers go on, and what they settle gives room; or free disk space.',
    });
  }

  /** Resolves when it is open; rejects with CLOSED when the broker is closed before. */
  whenOpen(): Promise<void> {
    if (this.#reason === undefined) return Promise.resolve();
    if (this.#closed) return Promise.reject(closed());
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Nobody waits any more. */
  close(): void {
    this.#closed = true;
    for (const { reject } of this.#waiting.splice(0)) reject(closed());
  }
}

function closed(): BrokerError {
  return new BrokerError('CLOSED', 'The broker was closed while publishing was blocked.', {
    cure: 'Publish again when it runs; nothing of it was stored.',
  });
}
