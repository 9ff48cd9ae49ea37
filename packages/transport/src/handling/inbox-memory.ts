import type { Clock } from '@nestmq/broker';

export interface InboxMemoryInit {
  readonly windowMs: number;
  readonly max: number;
  readonly clock: Clock;
}

interface Entry {
  readonly handledAt: number;
  isWritten: boolean;
}

/** The message ids that one handler is done with: the latest `max` of the last `windowMs`. */
export class InboxMemory {
  readonly #init: InboxMemoryInit;
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>();

  constructor(init: InboxMemoryInit) {
    this.#init = init;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(messageId: string): boolean {
    const entry = this.#entries.get(messageId);
    return entry !== undefined && !this.#isOver(entry);
  }

  /** Whether it is on the disk as well. */
  isWritten(messageId: string): boolean {
    return this.#entries.get(messageId)?.isWritten === true;
  }

  /** `handledAt` in milliseconds since the epoch. What is known already keeps its time. */
  add(messageId: string, handledAt: number, isWritten: boolean): void {
    const known = this.#entries.get(messageId);
    if (known !== undefined && !this.#isOver(known)) {
      known.isWritten ||= isWritten;
      return;
    }
    this.#entries.delete(messageId);
    this.#entries.set(messageId, { handledAt, isWritten });
    this.#trim();
  }

  #trim(): void {
    for (const [messageId, entry] of this.#entries) {
      if (this.#entries.size <= this.#init.max && !this.#isOver(entry)) return;
      this.#entries.delete(messageId);
    }
  }

  #isOver({ handledAt }: Entry): boolean {
    return handledAt + this.#init.windowMs <= this.#init.clock.now();
  }
}
