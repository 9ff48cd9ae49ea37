import type { Clock, Timer } from './clock.js';

/** What could not be done is tried again a while later: all of it for one broker, and nothing of it when that is closed. */
export class Retries {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #timers = new Set<Timer>();
  #isClosed = false;

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  /** Runs `retry` after a while, or never if it is closed before. */
  readonly later = (retry: () => void): void => {
    if (this.#isClosed) return;
    const timer = this.#clock.setTimer(this.#delayMs, () => {
      this.#timers.delete(timer);
      retry();
    });
    this.#timers.add(timer);
  };

  /** Nothing is tried again any more. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }
}
