import type { Clock, Timer } from '@nestmq/broker';
import type { Gate } from './gate.js';

interface Waiting {
  readonly isStale: () => boolean;
  readonly go: (mayBegin: boolean) => void;
}

/**
 * At most `max` starts in any `perMs`, wherever that begins: the latest starts are remembered, at most `max` of them. A
 * token bucket would let twice as many through around a pause.
 */
export class RateLimitGate implements Gate {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #perMs: number;
  readonly #waiting: Waiting[] = [];
  readonly #time: SteadyTime;
  /** When the latest started; those before `#oldest` are out of the window. */
  #starts: number[] = [];
  #oldest = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock, { max, perMs }: { readonly max: number; readonly perMs: number }) {
    this.#clock = clock;
    this.#max = max;
    this.#perMs = perMs;
    this.#time = new SteadyTime(clock);
  }

  enter(isStale: () => boolean): boolean | Promise<boolean> {
    if (this.#stopped) return false;
    if (this.#waiting.length === 0 && this.#waitMs() <= 0) {
      this.#note();
      return true;
    }
    return new Promise((go) => {
      this.#waiting.push({ isStale, go });
      this.#wake();
    });
  }

  /** What has started counts, whenever it ends. */
  leave(): void {}

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { go } of this.#waiting.splice(0)) go(false);
  }

  start(): void {
    this.#stopped = false;
  }

  /** Until one more may start; 0 or less is now. */
  #waitMs(): number {
    const now = this.#time.now();
    const { length } = this.#starts;
    while (this.#oldest < length && now - (this.#starts[this.#oldest] as number) >= this.#perMs)
      this.#oldest++;
    if (this.#oldest > length / 2) {
      this.#starts = this.#starts.slice(this.#oldest);
      this.#oldest = 0;
    }
    if (this.#starts.length - this.#oldest < this.#max) return 0;
    return (this.#starts[this.#oldest] as number) + this.#perMs - now;
  }

  #note(): void {
    this.#starts.push(this.#time.now());
  }

  #wake(): void {
    if (this.#timer !== undefined || this.#waiting.length === 0) return;
    this.#timer = this.#clock.setTimer(Math.max(1, this.#waitMs()), () => {
      this.#timer = undefined;
      this.#letGo();
      this.#wake();
    });
  }

  #letGo(): void {
    while (this.#waiting.length > 0 && this.#waitMs() <= 0) {
      const { isStale, go } = this.#waiting.shift() as Waiting;
      const mayBegin = !isStale();
      if (mayBegin) this.#note();
      go(mayBegin);
    }
  }
}

/** Time that never goes back: when the clock is set back, it stands still for that moment only. Milliseconds. */
class SteadyTime {
  #last: number;
  #steady = 0;

  constructor(private readonly clock: Clock) {
    this.#last = clock.now();
  }

  now(): number {
    const now = this.clock.now();
    this.#steady += Math.max(0, now - this.#last);
    this.#last = now;
    return this.#steady;
  }
}
