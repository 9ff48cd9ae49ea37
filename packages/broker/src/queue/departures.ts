import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { MessageStore } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import type { Turn } from '../turns.js';
import type { ReadyEntry } from './ready-index.js';

export interface DeparturesInit<Reason> {
  readonly store: MessageStore;
  /** Takes the message out of its queue, to wherever it goes. Throws STORE_FAILED or CLOSED, with nothing done. */
  readonly send: (entry: ReadyEntry, message: Message, reason: Reason) => void;
  /** Runs a turn soon. */
  readonly schedule: (turn: Turn) => void;
  /** Runs `retry` after a while, or never if the process ends before. */
  readonly later: (retry: () => void) => void;
  /** None is on its way any more. */
  readonly onDone: () => void;
}

interface Departure<Reason> {
  readonly entry: ReadyEntry;
  readonly reason: Reason;
  message: Message | undefined;
}

/**
 * Messages on their way out of a queue, in order. Each leaves by one step of the store (J2); until then it is in its
 * queue, also after a crash. What is not in memory is read first; what the store can't do now is tried again.
 */
export class Departures<Reason> implements Turn {
  readonly #init: DeparturesInit<Reason>;
  /** By sequence, in the order of their coming. */
  readonly #waiting = new Map<number, Departure<Reason>>();
  #isScheduled = false;
  #isReading = false;
  #isTriedLater = false;
  /** Since the last turn. */
  #sentAtOnce = 0;

  constructor(init: DeparturesInit<Reason>) {
    this.#init = init;
  }

  get count(): number {
    return this.#waiting.size;
  }

  sequences(): number[] {
    return [...this.#waiting.keys()];
  }

  /** None goes any more; returns where they lie. */
  takeAll(): Position[] {
    const positions = Array.from(this.#waiting.values(), ({ entry }) => entry.position);
    this.#waiting.clear();
    return positions;
  }

  /** It goes soon: with `atOnce` before this returns, if nothing stands in its way, and others have had their turn. */
  add(entry: ReadyEntry, reason: Reason, message: Message | undefined, atOnce: boolean): void {
    // Of a long row only the first are in memory: the others have to wait long, and lie in the store.
    const kept = this.#waiting.size < LIMITS.readAheadMessagesMax ? message : undefined;
    this.#waiting.set(entry.sequence, { entry, reason, message: kept });
    const goes = atOnce && this.#waiting.size === 1 && this.#sentAtOnce < LIMITS.deliveriesPerTurnMax;
    // The turn that is scheduled begins a new share.
    this.#schedule();
    if (!goes) return;
    this.#sentAtOnce++;
    this.#go();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isReading) return;
    this.#isScheduled = true;
    this.#init.schedule(this);
  }

  turn(): void {
    this.#isScheduled = false;
    this.#sentAtOnce = 0;
    this.#go();
  }

  #go(): void {
    if (this.#isReading || this.#waiting.size === 0) return;
    const { isStopped, count } = this.#sendSome();
    if (isStopped) this.#tryLater();
    else if (this.#waiting.size === 0) this.#init.onDone();
    else if (count === LIMITS.deliveriesPerTurnMax) this.#schedule();
    else void this.#read();
  }

  /** As many as are in memory, and not more than a turn's share. */
  #sendSome(): { readonly isStopped: boolean; readonly count: number } {
    const { store, send } = this.#init;
    let count = 0;
    for (const { entry, reason, message } of this.#next(LIMITS.deliveriesPerTurnMax)) {
      const found = message ?? store.peek(entry.position);
      if (found === undefined) break;
      try {
        send(entry, found, reason);
      } catch (error) {
        if (!isStores(error)) throw error;
        return { isStopped: true, count };
      }
      this.#waiting.delete(entry.sequence);
      count++;
    }
    return { isStopped: false, count };
  }

  /** The first of them, up to so many. */
  #next(countMax: number): Departure<Reason>[] {
    const next: Departure<Reason>[] = [];
    for (const one of this.#waiting.values()) {
      if (next.length === countMax) break;
      next.push(one);
    }
    return next;
  }

  /** The next of them from the disk, many at once. */
  async #read(): Promise<void> {
    const { store } = this.#init;
    const next = this.#next(LIMITS.readAheadMessagesMax).filter(({ message }) => message === undefined);
    this.#isReading = true;
    const places = next.map(({ entry }) => entry.position);
    try {
      const messages = await store.read(places, LIMITS.readAheadBytesMax);
      for (const [i, message] of messages.entries()) (next[i] as Departure<Reason>).message = message;
      this.#isReading = false;
      this.#schedule();
    } catch {
      this.#isReading = false;
      // The store may have brought messages forward. Else the disk is in trouble; nothing is lost by waiting.
      if (next.some(({ entry }, i) => entry.position !== places[i])) this.#schedule();
      else this.#tryLater();
    }
  }

  /** Once, however often it is asked for until then. */
  #tryLater(): void {
    if (this.#isTriedLater) return;
    this.#isTriedLater = true;
    this.#init.later(() => {
      this.#isTriedLater = false;
      this.#schedule();
    });
  }

  /** The message with this sequence; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): ReadyEntry | undefined {
    const entry = this.#waiting.get(sequence)?.entry;
    if (entry !== undefined && position !== undefined) entry.position = position;
    return entry;
  }
}

/** The store can't, now or never again; then the messages are in their queue at the next opening. */
function isStores(error: unknown): boolean {
  return error instanceof BrokerError && (error.code === 'STORE_FAILED' || error.code === 'CLOSED');
}
