import type { Outbox } from './outbox.js';

/** Tags that are done with and still in the list. */
const SPENT_MAX = 4096;

/**
 * A channel's publisher confirms. The store calls back in the order of publishing, so that one function does for all
 * of them, and what became durable in one turn is confirmed by one ack.
 */
export class Confirms {
  readonly #channel: number;
  readonly #outbox: Outbox;
  #lastTag = 0;
  /** Tags that wait for the disk, in order, from `#head` on. */
  #waiting: number[] = [];
  #head = 0;
  /** The last durable tag that is not confirmed yet, and how many such there are. */
  #durableTag = 0;
  #durableCount = 0;
  #isClosed = false;

  constructor(channel: number, outbox: Outbox) {
    this.#channel = channel;
    this.#outbox = outbox;
  }

  /** The tag of what is published next. */
  nextTag(): number {
    return ++this.#lastTag;
  }

  /** Was published under this tag; {@link onDurable} is called for it. */
  wait(tag: number): void {
    this.#waiting.push(tag);
  }

  readonly onDurable = (error?: Error): void => {
    if (this.#isClosed) return undefined;
    const tag = this.#waiting[this.#head++] as number;
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head >= SPENT_MAX) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    if (error !== undefined) return this.nack(tag);
    this.#durableTag = tag;
    if (this.#durableCount++ === 0) this.#outbox.due.add(this);
    return this.#outbox.schedule();
  };

  /** It is not stored. */
  nack(deliveryTag: number): void {
    this.flush();
    this.#outbox.method(this.#channel, { name: 'basic.nack', deliveryTag, multiple: false, requeue: false });
  }

  /** What is durable by now is confirmed; of the rest nobody hears any more. */
  close(): void {
    this.flush();
    this.#isClosed = true;
  }

  flush(): void {
    if (this.#durableCount === 0) return;
    const multiple = this.#durableCount > 1;
    this.#durableCount = 0;
    this.#outbox.method(this.#channel, { name: 'basic.ack', deliveryTag: this.#durableTag, multiple });
  }
}
