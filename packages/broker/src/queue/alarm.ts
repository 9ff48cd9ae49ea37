import type { Clock, Timer } from '../clock.js';

/** A timer of Node can't wait longer. Milliseconds. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Rings at a time, with one timer at most however often it is set. */
export class Alarm {
  #timer: Timer | undefined;
  /** What the timer was set for. */
  #at = Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly ring: () => void,
  ) {}

  /**
   * Rings at that time, or earlier, when it was set for earlier before; then not again. Milliseconds since 1970; what is
   * past rings soon, and not before this call has returned.
   */
  set(at: number): void {
    if (at >= this.#at) return;
    this.#timer?.cancel();
    this.#at = at;
    const delayMs = Math.min(TIMER_MS_MAX, Math.max(0, at - this.clock.now()));
    this.#timer = this.clock.setTimer(delayMs, () => this.#elapsed());
  }

  /** A timer may have been too short, or the clock have been put back. */
  #elapsed(): void {
    const at = this.#at;
    this.#at = Infinity;
    this.#timer = undefined;
    if (this.clock.now() < at) this.set(at);
    else this.ring();
  }

  /** Does not ring any more, until it is set again. Idempotent. */
  clear(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#at = Infinity;
  }
}
