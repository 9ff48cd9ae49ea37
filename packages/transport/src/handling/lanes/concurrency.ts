import type { Gate } from './gate.js';

interface Waiting {
  readonly isStale: () => boolean;
  readonly go: (mayBegin: boolean) => void;
}

/** At most so many at once. */
export class ConcurrencyGate implements Gate {
  readonly #waiting: Waiting[] = [];
  #free: number;
  #stopped = false;

  constructor(max: number) {
    this.#free = max;
  }

  enter(isStale: () => boolean): boolean | Promise<boolean> {
    if (this.#stopped) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return new Promise((go) => {
      this.#waiting.push({ isStale, go });
    });
  }

  leave(): void {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      const mayBegin = !next.isStale();
      next.go(mayBegin);
      if (mayBegin) return;
    }
    this.#free += 1;
  }

  stop(): void {
    this.#stopped = true;
    for (const { go } of this.#waiting.splice(0)) go(false);
  }

  start(): void {
    this.#stopped = false;
  }
}
