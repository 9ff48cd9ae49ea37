import { segmentsOf } from './segments.js';

/**
 * Sees compaction from outside, by the names of the segments: a message that nobody has settled is kept, so when the
 * segment where it lay is gone, it was brought forward.
 */
export class CompactionWatch {
  /** Unsettled messages, and the last segment in which each can lie. */
  readonly #upTo = new Map<string, number>();
  /** Held since the last look but one: on the disk by now. */
  #older: string[] = [];
  /** Held since the last look: maybe in a commit that is not written yet. */
  #fresh: string[] = [];
  #first = 0;

  constructor(
    private readonly directory: string,
    private readonly onSeen: () => void,
  ) {}

  held(key: string): void {
    this.#upTo.set(key, Number.POSITIVE_INFINITY);
    this.#fresh.push(key);
  }

  letGo(key: string): void {
    this.#upTo.delete(key);
  }

  /** Between two looks, all that was done before the first one has become durable. */
  look(): void {
    const { first, last } = segmentsOf(this.directory);
    for (const key of this.#older) if (this.#upTo.has(key)) this.#upTo.set(key, last);
    this.#older = this.#fresh;
    this.#fresh = [];
    if (first === this.#first) return;
    this.#first = first;
    const moved = [...this.#upTo].filter(([, upTo]) => upTo < first);
    for (const [key] of moved) this.#upTo.set(key, last);
    if (moved.length > 0) this.onSeen();
  }
}
