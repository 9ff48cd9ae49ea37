import type { Clock, Timer } from '../clock.js';
import { BrokerError, messageOf } from '../errors.js';
import type { DurableCallback } from './message-store.js';

export interface JournalHealthInit {
  readonly clock: Clock;
  readonly directory: string;
  /** Makes the journal one that can be written again; rejects while the disk is not well. */
  readonly heal: () => Promise<void>;
  /** Nothing is accepted from now on. Before {@link onReport} is told. */
  readonly onFailed: (failure: BrokerError) => void;
  /** Told of each failure (STORE_FAILED), and of trouble that costs no promise (STORE_TROUBLE). */
  readonly onReport: (error: Error) => void;
}

/** The first try to go on after a failed write comes this much later, then each twice as late. Milliseconds. */
const HEAL_DELAY_MS = 1000;
const HEAL_DELAY_MS_MAX = 30_000;

/** Whether a journal accepts anything; if not, why, and when it is tried again (J5). */
export class JournalHealth {
  readonly #init: JournalHealthInit;
  #failure: BrokerError | undefined;
  #isClosing = false;
  #healTimer: Timer | undefined;
  #healing: Promise<void> | undefined;
  #healDelayMs = HEAL_DELAY_MS;

  constructor(init: JournalHealthInit) {
    this.#init = init;
  }

  get failure(): BrokerError | undefined {
    return this.#failure;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** Throws STORE_FAILED, or CLOSED. */
  assertAccepting(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosing) {
      throw new BrokerError('CLOSED', 'The broker is closed.', { cure: 'Publish before it is closed.' });
    }
  }

  /** After a failed write or sync nobody knows what is on the disk: nothing is promised until {@link healed}. */
  fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = new BrokerError(
      'STORE_FAILED',
      `The journal in ${this.#init.directory} can't be written (${messageOf(cause)}), so nothing is accepted for now.`,
      {
        severity: 'broker',
        cure: 'Cure the disk: it is tried again by itself, and what was confirmed is kept.',
        cause,
      },
    );
    this.#init.onFailed(this.#failure);
    this.#scheduleHealing();
    this.#report(this.#failure);
  }

  #scheduleHealing(): void {
    if (this.#isClosing) return;
    this.#healTimer = this.#init.clock.setTimer(this.#healDelayMs, () => {
      this.#healDelayMs = Math.min(HEAL_DELAY_MS_MAX, this.#healDelayMs * 2);
      this.#healing = this.#init
        .heal()
        // The reason is the same as before, or as good: it is shown by `failure`, and each publisher gets it.
        .catch(() => this.#scheduleHealing())
        .finally(() => (this.#healing = undefined));
    });
  }

  /** The journal has proved itself. */
  healed(): void {
    this.#failure = undefined;
    this.#healDelayMs = HEAL_DELAY_MS;
  }

  /** Says that something did not work that costs no promise. */
  trouble(what: string, cause: unknown): void {
    this.#report(
      new BrokerError('STORE_TROUBLE', `${what}, in ${this.#init.directory} (${messageOf(cause)}).`, {
        severity: 'broker',
        cure: 'Look after the disk. Nothing is lost, and messages are accepted; only disk space or time is wasted.',
        cause,
      }),
    );
  }

  #report(error: Error): void {
    tell(() => this.#init.onReport(error));
  }

  /** No more tries; resolves when one that is under way has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#healTimer?.cancel();
    await this.#healing;
  }
}

/** A caller's bug must neither be taken for a failed disk nor keep the others from being told. */
export function tell(callback: DurableCallback, failure?: Error): void {
  try {
    callback(failure);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}
