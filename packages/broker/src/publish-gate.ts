import { BrokerError } from './errors.js';

/** What may run out; the backlog is of what is on its way to the disk. Or who has the broker wants nothing published. */
export type Resource = 'disk' | 'memory' | 'backlog' | 'owner';

/** Where publishers wait while the disk or memory is nearly full, or too much is on its way to the disk: one for all of a broker. */
export class PublishGate {
  readonly #reasons = new Map<Resource, string>();
  #closed = false;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  /** Why nobody may publish now, if so. */
  get reason(): string | undefined {
    return this.#reasons.size === 0 ? undefined : [...this.#reasons.values()].join(' ');
  }

  /** Closes the gate for a reason, or takes this reason away: with the last one it opens, and lets go who waits, in order. */
  set(resource: Resource, reason: string | undefined): void {
    if (reason === undefined) this.#reasons.delete(resource);
    else this.#reasons.set(resource, reason);
    if (this.#reasons.size === 0) for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Throws BLOCKED. */
  assertOpen(): void {
    if (this.#reasons.size === 0) return;
    throw new BrokerError('BLOCKED', this.reason as string, {
      cure: 'Wait for `unblocked()`: consumers go on, and what they settle gives room; or give it more.',
    });
  }

  /** Resolves when it is open; rejects with CLOSED when the broker is closed before. */
  whenOpen(): Promise<void> {
    if (this.#reasons.size === 0) return Promise.resolve();
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
