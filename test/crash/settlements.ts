import type { Connection } from '@nestmq/broker';
import type { Ledger, LedgerEntry } from './ledger.js';

/** So many together: most settlements wait for a commit of others, and kills find them in every state. */
const BATCH = 10;

/** Writes settlements down once they are known to be durable. */
export class Settlements {
  #waiting: LedgerEntry[] = [];
  #flushing: Promise<void> | undefined;

  constructor(
    private readonly connection: Connection,
    private readonly ledger: Ledger,
    private readonly onDurable: () => void,
  ) {}

  add(queue: string, number: number): void {
    this.#waiting.push({ kind: 'settled', queue, number });
    if (this.#waiting.length >= BATCH) void this.#flushOnce();
  }

  /** Resolves when all that was added is written down, or can't be known to be durable: the store has failed. */
  async flush(): Promise<void> {
    while (this.#waiting.length > 0 || this.#flushing !== undefined) await this.#flushOnce();
  }

  #flushOnce(): Promise<void> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    try {
      await this.connection.durable();
    } catch {
      // The session has said so.
      return;
    }
    this.ledger.writeAll(batch);
    this.onDurable();
  }
}
