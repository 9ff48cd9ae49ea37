import type { Clock } from '../clock.js';
import { LIMITS } from '../limits.js';
import type { DeathReason } from '../message/x-death.js';
import type { Residence } from '../store/message-store.js';
import type { Position } from '../store/record.js';
import { Alarm } from './alarm.js';
import { DelayedIndex } from './delayed-index.js';
import { NO_MARK } from './entry-mark.js';
import type { ReadyEntry } from './ready-index.js';

/** A dead letter that was sent, and has to be sent again. */
export interface StuckLetter {
  readonly entry: ReadyEntry;
  readonly reason: DeathReason;
  /** Names of the queues that have taken it: others have not. */
  readonly takenBy: Set<string>;
}

export interface StuckLettersInit {
  readonly clock: Clock;
  /** Sends it again soon: it is not stuck until it is added again. {@link StuckLetters.sent} is told when all were sent. */
  readonly resend: (letter: StuckLetter) => void;
  /** Calls back once, when there may be other ways for messages than there are now. */
  readonly awaitRoutes: (tell: () => void) => void;
}

const REASONS: readonly DeathReason[] = ['rejected', 'expired', 'maxlen', 'delivery_limit'];
/** So many are sent again at a time: others that come meanwhile find room on the way. */
const RESENT_MAX = 128;

/**
 * Dead letters of a queue that keeps them until they are taken (`at-least-once`), and that nobody has taken yet: in rounds all of
 * them are sent again, in the order of their queue. A round follows soon on another topology, and on a round in which one was
 * taken; else rounds are less and less frequent. About 55 bytes each.
 */
export class StuckLetters {
  readonly #init: StuckLettersInit;
  /** By the round in which they are sent again, and in it by sequence. */
  readonly #index = new DelayedIndex();
  readonly #alarm: Alarm;
  readonly #takenBy = new Map<number, Set<string>>();
  #bodyBytes = 0;
  #round = 0;
  #isUnderWay = false;
  /** In this round one was taken, or there is another topology. */
  #mayProgress = false;
  #delayMs = LIMITS.letterRetryMsMin;
  /** One and the same: who is told once is asked for it often. */
  readonly #onRoutes = (): void => this.#routesChanged();

  constructor(init: StuckLettersInit) {
    this.#init = init;
    this.#alarm = new Alarm(init.clock, () => this.#begin());
  }

  get count(): number {
    return this.#index.length;
  }

  /** Of the letters' bodies. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  add({ entry, reason, takenBy }: StuckLetter, bodyBytes: number): void {
    const mark = { ...(entry.mark ?? NO_MARK), bodyBytes };
    this.#index.add({ ...entry, mark }, this.#round + 1, REASONS.indexOf(reason));
    this.#bodyBytes += bodyBytes;
    if (takenBy.size > 0) this.#takenBy.set(entry.sequence, takenBy);
    if (!this.#isUnderWay) this.#wait();
  }

  #wait(): void {
    this.#alarm.set(this.#init.clock.now() + this.#delayMs);
    this.#init.awaitRoutes(this.#onRoutes);
  }

  /** One that was sent again has been taken. */
  taken(): void {
    this.#mayProgress = true;
  }

  #routesChanged(): void {
    if (this.count === 0 && !this.#isUnderWay) return;
    this.#mayProgress = true;
    this.#delayMs = LIMITS.letterRetryMsMin;
    if (!this.#isUnderWay) this.#wait();
  }

  /** Sends them again now: what becomes of them has changed. */
  hurry(): void {
    if (this.#isUnderWay) this.#mayProgress = true;
    else if (this.count > 0) this.#begin();
  }

  #begin(): void {
    this.#alarm.clear();
    this.#isUnderWay = true;
    this.#mayProgress = false;
    this.#round++;
    this.sent();
  }

  /** None is on its way any more: the next of the round go, or it ends. */
  sent(): void {
    if (!this.#isUnderWay) return;
    let count = 0;
    for (; count < RESENT_MAX && this.#index.nextDueAt <= this.#round; count++)
      this.#init.resend(this.#shift() as StuckLetter);
    if (count === 0) this.#end();
  }

  #end(): void {
    this.#isUnderWay = false;
    const isHopeful = this.#mayProgress || this.count === 0;
    this.#delayMs = isHopeful
      ? LIMITS.letterRetryMsMin
      : Math.min(LIMITS.letterRetryMsMax, this.#delayMs * 2);
    if (this.count > 0) this.#wait();
  }

  #shift(): StuckLetter | undefined {
    const reason = REASONS[this.#index.nextTag] as DeathReason;
    const entry = this.#index.shift();
    if (entry === undefined) return undefined;
    const takenBy = this.#takenBy.get(entry.sequence) ?? new Set();
    this.#takenBy.delete(entry.sequence);
    this.#bodyBytes -= entry.mark?.bodyBytes ?? 0;
    return { entry: { ...entry, mark: entry.mark && { ...entry.mark, readyAt: 0 } }, reason, takenBy };
  }

  sequences(): Iterable<number> {
    return this.#index.sequences();
  }

  /** They are given up; returns where they lie. */
  takeAll(): Iterable<Position> {
    this.stop();
    this.#takenBy.clear();
    this.#bodyBytes = 0;
    return this.#index.takeAll();
  }

  /** The message with this sequence; `position` given, it lies there from now on. */
  find(sequence: number, position?: Position): Residence | undefined {
    const found = this.#index.find(sequence, position);
    // It waits for a round, and not for a time.
    return found && { ...found, mark: found.mark && { ...found.mark, readyAt: 0 } };
  }

  /** None is sent again by itself. Idempotent. */
  stop(): void {
    this.#alarm.clear();
  }
}
