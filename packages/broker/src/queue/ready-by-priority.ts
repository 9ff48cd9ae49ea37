import type { Message } from '../message/message.js';
import type { Residence } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { chained } from './chained.js';
import type { EntryMark } from './entry-mark.js';
import type { ReadyEntry } from './ready-index.js';
import { type Dropped, type Loaded, ReadyMessages, type ReadyMessagesOwner } from './ready-messages.js';

/** What a queue has ready, in the order in which it is given: {@link ReadyMessages}, or those of several priorities. */
export type Ready = Omit<ReadyMessages, 'restore'>;

/**
 * What is ready in a queue with priorities (rabbitmq.com/docs/priority): all of a higher one before all of a lower one,
 * and each in its order. A priority that had no message costs nothing.
 */
export class ReadyByPriority implements Ready {
  /** The highest first. */
  readonly #levels: (ReadyMessages | undefined)[];

  constructor(
    private readonly owner: ReadyMessagesOwner,
    private readonly priorityMax: number,
  ) {
    this.#levels = Array.from({ length: priorityMax + 1 });
  }

  #level(mark: EntryMark | undefined): ReadyMessages {
    const priority = Math.min(this.priorityMax, mark?.priority ?? 0);
    return (this.#levels[this.priorityMax - priority] ??= new ReadyMessages(this.owner, priority));
  }

  /** The highest that has a message. */
  #next(): ReadyMessages | undefined {
    return this.#levels.find((level) => level !== undefined && level.length > 0);
  }

  get length(): number {
    return this.#levels.reduce((sum, level) => sum + (level?.length ?? 0), 0);
  }

  get readFailure(): { readonly error: unknown } | undefined {
    return this.#next()?.readFailure;
  }

  get isLoading(): boolean {
    return this.#next()?.isLoading ?? false;
  }

  /** What comes now may have to go before what is there. */
  get isShort(): boolean {
    return false;
  }

  get nextExpiresAt(): number {
    return this.#next()?.nextExpiresAt ?? 0;
  }

  push(sequence: number, position: Position, mark?: EntryMark): void {
    this.#level(mark).push(sequence, position, mark);
  }

  pushLoaded(sequence: number, position: Position, message: Message, mark?: EntryMark): void {
    this.#level(mark).pushLoaded(sequence, position, message, mark);
  }

  restoreOne(entry: ReadyEntry): void {
    this.#level(entry.mark).restoreOne(entry);
  }

  putBack(entry: ReadyEntry): void {
    this.#level(entry.mark).putBack(entry);
  }

  take(): Loaded | undefined {
    return this.#next()?.take();
  }

  drop(): Dropped | undefined {
    return this.#next()?.drop();
  }

  takeAll(): Iterable<Position> {
    return chained(this.#levels.map((level) => level?.takeAll() ?? []));
  }

  find(sequence: number, position?: Position): Residence | undefined {
    for (const level of this.#levels) {
      const found = level?.find(sequence, position);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  measure(sequence: number, bodyBytes: number): boolean {
    return this.#levels.some((level) => level?.measure(sequence, bodyBytes) === true);
  }

  unmeasured(after: number, countMax: number): { readonly sequence: number; readonly position: Position }[] {
    const found = this.#levels.flatMap((level) => level?.unmeasured(after, countMax) ?? []);
    return found.toSorted((a, b) => a.sequence - b.sequence).slice(0, countMax);
  }
}
