import { LIMITS } from '../limits.js';
import type { MessageStore } from '../store/message-store.js';
import { type EntryMark, UNKNOWN_BYTES } from './entry-mark.js';
import type { Ready } from './ready-by-priority.js';

/**
 * How many bytes the bodies of a queue's ready messages have. Who came in since the broker was opened is measured as it
 * comes; the others are read from the disk once, in the background, and do not count before.
 */
export class ReadyBytes {
  #total = 0;
  #isMeasuring = false;

  constructor(
    private readonly store: MessageStore,
    private readonly ready: Ready,
    /** The total has grown. */
    private readonly onMeasured: () => void,
    private readonly later: (retry: () => void) => void,
  ) {}

  get total(): number {
    return this.#total;
  }

  entered(mark: EntryMark | undefined): void {
    if (mark !== undefined && mark.bodyBytes !== UNKNOWN_BYTES) this.#total += mark.bodyBytes;
  }

  left(mark: EntryMark | undefined): void {
    if (mark !== undefined && mark.bodyBytes !== UNKNOWN_BYTES) this.#total -= mark.bodyBytes;
  }

  clear(): void {
    this.#total = 0;
  }

  /** Measures what is there and was not measured yet. */
  measure(): void {
    if (this.#isMeasuring) return;
    this.#isMeasuring = true;
    void this.#measure(0);
  }

  async #measure(after: number): Promise<void> {
    const next = this.ready.unmeasured(after, LIMITS.readAheadMessagesMax);
    if (next.length === 0) {
      this.#isMeasuring = false;
      return;
    }
    let last: number;
    try {
      const positions = next.map(({ position }) => position);
      const messages = await this.store.read(positions, LIMITS.readAheadBytesMax);
      for (const [i, { body }] of messages.entries()) {
        const { sequence } = next[i] as { sequence: number };
        if (this.ready.measure(sequence, body.length)) this.#total += body.length;
      }
      last = (next[messages.length - 1] as { sequence: number }).sequence;
    } catch {
      // Some may have gone, or been brought forward, since they were asked for; or the disk is in trouble.
      this.later(() => void this.#measure(after));
      return;
    }
    this.onMeasured();
    await this.#measure(last);
  }
}
