import type { Clock, Timer } from '@nestmq/broker';

/**
 * The clock of one life of an application: after its end its timers do not fire, and who sets another has waited long
 * enough. So what a shutdown would wait for is over at once.
 */
export class LifeClock implements Clock {
  readonly #timers = new Set<Timer>();
  #isOver = false;

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.clock.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    if (this.#isOver) {
      const handle = setImmediate(callback);
      return { cancel: () => clearImmediate(handle) };
    }
    const inner = this.clock.setTimer(delayMs, () => {
      this.#timers.delete(timer);
      callback();
    });
    const timer: Timer = {
      cancel: () => {
        this.#timers.delete(timer);
        inner.cancel();
      },
    };
    this.#timers.add(timer);
    return timer;
  }

  end(): void {
    this.#isOver = true;
    for (const timer of this.#timers) timer.cancel();
  }
}
