import type { Clock } from '../clock.js';
import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { Death, DeathReason } from '../message/x-death.js';
import type { MessageStore } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import type { Turn } from '../turns.js';
import type { QueueSettings } from './queue-settings.js';
import type { ReadyEntry } from './ready-index.js';

/** A message on its way out of a queue. */
export interface Letter {
  readonly queueId: number;
  readonly entry: ReadyEntry;
  readonly message: Message;
  readonly death: Death;
}

/** What dead letters need of their queue and of what is above it. */
export interface DeadLettersInit {
  readonly queueId: number;
  readonly queueName: string;
  readonly store: MessageStore;
  readonly clock: Clock;
  readonly settings: () => QueueSettings;
  /** Moves the message to where the dead-letter exchange leads, or settles it. Throws STORE_FAILED, with nothing done. */
  readonly deadLetter: (letter: Letter) => void;
  readonly schedule: (turn: Turn) => void;
  readonly later: (retry: () => void) => void;
  /** None is on its way any more. */
  readonly onDone: () => void;
}

interface Waiting {
  readonly entry: ReadyEntry;
  readonly reason: DeathReason;
  message: Message | undefined;
}

/**
 * Messages that a queue has given up, on their way to its dead-letter exchange, in order. Each is moved by one step of
 * the store (J2); until then it is in its queue, also after a crash. What the store can't do now is tried again.
 */
export class DeadLetters implements Turn {
  readonly #init: DeadLettersInit;
  #waiting: Waiting[] = [];
  #isScheduled = false;
  #isReading = false;

  constructor(init: DeadLettersInit) {
    this.#init = init;
  }

  get count(): number {
    return this.#waiting.length;
  }

  /** Those on their way. */
  sequences(): number[] {
    return this.#waiting.map(({ entry }) => entry.sequence);
  }

  /** It goes soon: with `atOnce` before this returns, if nothing stands in its way. */
  add(entry: ReadyEntry, reason: DeathReason, message: Message | undefined, atOnce: boolean): void {
    this.#waiting.push({ entry, reason, message });
    if (atOnce && this.#waiting.length === 1) this.turn();
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isReading) return;
    this.#isScheduled = true;
    this.#init.schedule(this);
  }

  turn(): void {
    this.#isScheduled = false;
    if (this.#isReading) return;
    let sent = 0;
    try {
      for (const waiting of this.#waiting.slice(0, LIMITS.deliveriesPerTurnMax)) {
        const message = waiting.message ?? this.#init.store.peek(waiting.entry.position);
        if (message === undefined) break;
        this.#send(waiting, message);
        sent++;
      }
    } catch (error) {
      if (!isForNow(error)) throw error;
      this.#tryLater();
      return;
    } finally {
      this.#waiting.splice(0, sent);
    }
    if (this.#waiting.length === 0) this.#init.onDone();
    else if (sent === LIMITS.deliveriesPerTurnMax) this.#schedule();
    else void this.#read();
  }

  #send({ entry, reason }: Waiting, message: Message): void {
    const { queueId, queueName, store, settings, clock, deadLetter } = this.#init;
    const { deadLetterExchange: exchange, deadLetterRoutingKey: routingKey } = settings();
    if (exchange === undefined) return store.settle(queueId, entry.sequence, entry.position);
    const death = { queue: queueName, reason, at: clock.now(), exchange, routingKey };
    return deadLetter({ queueId, entry, message, death });
  }

  /** The next of them from the disk, many at once. */
  async #read(): Promise<void> {
    const { store } = this.#init;
    const next = this.#waiting
      .slice(0, LIMITS.readAheadMessagesMax)
      .filter(({ message }) => message === undefined);
    this.#isReading = true;
    const places = next.map(({ entry }) => entry.position);
    try {
      const messages = await store.read(places, LIMITS.readAheadBytesMax);
      for (const [i, message] of messages.entries()) (next[i] as Waiting).message = message;
      this.#isReading = false;
      this.#schedule();
    } catch {
      this.#isReading = false;
      // The store may have brought messages forward. Else the disk is in trouble; nothing is lost by waiting.
      if (next.some(({ entry }, i) => entry.position !== places[i])) this.#schedule();
      else this.#tryLater();
    }
  }

  #tryLater(): void {
    this.#init.later(() => this.#schedule());
  }

  /** The message with this sequence; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): ReadyEntry | undefined {
    const entry = this.#waiting.find((one) => one.entry.sequence === sequence)?.entry;
    if (entry !== undefined && position !== undefined) entry.position = position;
    return entry;
  }
}

/** The store can't, now or never again; then the messages are in their queue at the next opening. */
function isForNow(error: unknown): boolean {
  return error instanceof BrokerError && (error.code === 'STORE_FAILED' || error.code === 'CLOSED');
}
