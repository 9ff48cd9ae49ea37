import type { Clock } from '../clock.js';
import type { Message } from '../message/message.js';
import type { Death, DeathReason } from '../message/x-death.js';
import type { MessageStore, Residence } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import type { Turn } from '../turns.js';
import { Departures } from './departures.js';
import { keepsLetters, type QueueSettings } from './queue-settings.js';
import type { ReadyEntry } from './ready-index.js';
import { StuckLetters } from './stuck-letters.js';

/** A message that a queue has given up. */
export interface Letter {
  readonly queueId: number;
  readonly entry: ReadyEntry;
  readonly message: Message;
  readonly death: Death;
  /**
   * Names of the queues that have taken it: it stays until all to which it is routed have, and one at least; who sends it adds
   * those that take it now. Undefined: it goes, to whoever takes it.
   */
  readonly takenBy: Set<string> | undefined;
}

export type LetterOutcome = 'gone' | 'stays';

/** What the layers above do for dead letters. */
export interface LettersEnvironment {
  readonly clock: Clock;
  readonly store: MessageStore;
  /** Runs a turn soon. */
  readonly schedule: (turn: Turn) => void;
  /** Runs `retry` after a while, or never if the process ends before. */
  readonly later: (retry: () => void) => void;
  /** Moves the message to where the dead-letter exchange leads, or settles it, or keeps it. Throws STORE_FAILED, with nothing done. */
  readonly deadLetter: (letter: Letter) => LetterOutcome;
  /** Calls back once, when there may be other ways for messages than there are now. */
  readonly awaitRoutes: (tell: () => void) => void;
}

export interface DeadLettersInit {
  readonly queue: { readonly id: number; readonly name: string };
  readonly environment: LettersEnvironment;
  /** As they are now. */
  readonly settings: () => QueueSettings;
  /** None is on its way any more, but those that are stuck. */
  readonly onDone: () => void;
}

/** Why a message leaves, and, if it was sent before, who has taken it then. */
interface Dying {
  readonly reason: DeathReason;
  readonly takenBy?: Set<string>;
}

/** Messages that a queue has given up, until they have left it. */
export class DeadLetters {
  readonly #init: DeadLettersInit;
  readonly #leaving: Departures<Dying>;
  /** There are some at few queues, and then at few times. */
  #stuck: StuckLetters | undefined;
  /** The queue was deleted: none stays. */
  #isAbandoned = false;

  constructor(init: DeadLettersInit) {
    this.#init = init;
    const { store, schedule, later } = init.environment;
    this.#leaving = new Departures({
      store,
      send: (entry, message, dying) => this.#send(entry, message, dying),
      schedule,
      later,
      onDone: () => this.#done(),
    });
  }

  #theStuck(): StuckLetters {
    const { clock, awaitRoutes } = this.#init.environment;
    return (this.#stuck ??= new StuckLetters({
      clock,
      awaitRoutes,
      resend: ({ entry, reason, takenBy }) => this.#leaving.add(entry, { reason, takenBy }, undefined, false),
    }));
  }

  /** Those that are on their way to the dead-letter exchange. */
  get leavingCount(): number {
    return this.#leaving.count;
  }

  /** With those that are stuck. */
  get count(): number {
    return this.#leaving.count + (this.#stuck?.count ?? 0);
  }

  /** What of them counts for the limits of the queue: those that stay until they are taken, as in RabbitMQ. */
  get held(): { readonly count: number; readonly bytes: number } {
    if (!keepsLetters(this.#init.settings())) return NONE;
    return { count: this.count, bytes: this.#stuck?.bodyBytes ?? 0 };
  }

  *sequences(): Generator<number> {
    yield* this.#leaving.sequences();
    if (this.#stuck !== undefined) yield* this.#stuck.sequences();
  }

  /** It leaves soon: see {@link Departures.add}. */
  add(entry: ReadyEntry, reason: DeathReason, message: Message | undefined, atOnce: boolean): void {
    this.#leaving.add(entry, { reason }, message, atOnce);
  }

  /** To the dead-letter exchange; where there is none any more, it is settled. */
  #send(entry: ReadyEntry, message: Message, { reason, takenBy }: Dying): void {
    const { queue, environment, settings } = this.#init;
    const { store, deadLetter } = environment;
    const death = this.deathOf(reason);
    if (death === undefined) return store.settle(queue.id, entry.sequence, entry.position);
    const stays = !this.#isAbandoned && keepsLetters(settings());
    const taken = stays ? (takenBy ?? new Set<string>()) : undefined;
    const outcome = deadLetter({ queueId: queue.id, entry, message, death, takenBy: taken });
    if (outcome === 'stays')
      this.#theStuck().add({ entry, reason, takenBy: taken ?? new Set() }, message.body.length);
    else if (takenBy !== undefined) this.#stuck?.taken();
    return undefined;
  }

  /** Undefined: there is no dead-letter exchange. */
  deathOf(reason: DeathReason): Death | undefined {
    const { queue, environment, settings } = this.#init;
    const { deadLetterExchange: exchange, deadLetterRoutingKey: routingKey } = settings();
    if (exchange === undefined) return undefined;
    return { queue: queue.name, reason, at: environment.clock.now(), exchange, routingKey };
  }

  #done(): void {
    this.#init.onDone();
    this.#stuck?.sent();
  }

  /** The settings are others: where letters go, or whether they stay. */
  settingsChanged(): void {
    this.#stuck?.hurry();
  }

  /**
   * The queue was deleted: those that are stuck are given up, those on their way go, or are dropped. Returns where the stuck ones
   * lie; undefined when there is none.
   */
  abandon(): Iterable<Position> | undefined {
    this.#isAbandoned = true;
    return this.#stuck === undefined || this.#stuck.count === 0 ? undefined : this.#stuck.takeAll();
  }

  find(sequence: number, position?: Position): Residence | undefined {
    return this.#leaving.find(sequence, position) ?? this.#stuck?.find(sequence, position);
  }

  /** None is sent again by itself. Idempotent. */
  stop(): void {
    this.#stuck?.stop();
  }
}

const NONE = { count: 0, bytes: 0 };
