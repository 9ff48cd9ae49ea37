/** A timer that was set; `cancel` is idempotent and does nothing once it has fired. */
export interface Timer {
  /** Idempotent; does nothing once it has fired. */
  cancel(): void;
}

/** The only source of time. Times are milliseconds; `now` is since the epoch and may step, timers do not. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `callback` once, `delayMs` from now. A set timer does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** The system's time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(delayMs, callback) {
    const handle = setTimeout(callback, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** A clock that moves only by {@link ManualClock.advance}: the time of tests. */
export class ManualClock implements Clock {
  #now: number;
  #timers: { at: number; order: number; callback: () => void }[] = [];
  #order = 0;

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#now = startMs;
  }

  /** Stands still but for {@link advance}. */
  now(): number {
    return this.#now;
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { at: this.#now + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      },
    };
  }

  /** When the next timer falls due, in milliseconds since the epoch; undefined when none is set. */
  get nextTimerAt(): number | undefined {
    return this.#timers.length === 0 ? undefined : Math.min(...this.#timers.map(({ at }) => at));
  }

  /** Moves time forward and fires what falls due, in order of time, then of setting. Timers may set timers. */
  advance(byMs: number): void {
    const target = this.#now + byMs;
    for (;;) {
      const due = this.#timers
        .filter((one) => one.at <= target)
        .toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.#now = Math.max(this.#now, due.at);
      due.callback();
    }
    this.#now = target;
  }
}
