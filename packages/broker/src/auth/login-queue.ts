import { LIMITS } from '../limits.js';

/** Few passwords are hashed at once: each takes memory, and a thread that the disk needs as well. */
export class LoginQueue {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  /** Resolves with what the work resolves with, in turn; with undefined, at once, when too many wait. */
  async run<R>(work: () => Promise<R>): Promise<R | undefined> {
    if (this.#running < LIMITS.passwordHashesMax) this.#running++;
    else if (this.#waiting.length >= LIMITS.waitingLoginsMax) return undefined;
    else await this.#turn();
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }
}
