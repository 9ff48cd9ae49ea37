import { LIMITS } from '../limits.js';

/** Told whether its turn has come, or it is to go. */
type Waiter = (isTurn: boolean) => void;

/**
 * Few passwords are hashed at once: each takes memory, and a thread that the disk needs as well. Networks take turns, so
 * that who sends many logins waits for itself, and nobody else does.
 */
export class LoginQueue {
  #running = 0;
  /** By network, the next one first. */
  readonly #waiting = new Map<string, Waiter[]>();
  #waitingCount = 0;

  /** Resolves with what the work resolves with, in turn; with undefined when too many wait, of this network before others. */
  async run<R>(network: string, work: () => Promise<R>): Promise<R | undefined> {
    if (this.#running < LIMITS.passwordHashesMax) this.#running++;
    else if (!(await this.#turn(network))) return undefined;
    try {
      return await work();
    } finally {
      this.#next();
    }
  }

  #turn(network: string): Promise<boolean> {
    const own = this.#waiting.get(network) ?? [];
    if (this.#waitingCount >= LIMITS.waitingLoginsMax && !this.#makeRoom(own.length))
      return Promise.resolve(false);
    return new Promise((resolve) => {
      own.push(resolve);
      this.#waiting.set(network, own);
      this.#waitingCount++;
    });
  }

  /** The last of the network with the most gives way, when it has more than the one that comes would. */
  #makeRoom(count: number): boolean {
    let most: Waiter[] = [];
    for (const waiters of this.#waiting.values()) if (waiters.length > most.length) most = waiters;
    if (most.length <= count + 1) return false;
    most.pop()?.(false);
    this.#waitingCount--;
    return true;
  }

  #next(): void {
    const [first] = this.#waiting;
    if (first === undefined) {
      this.#running--;
      return;
    }
    const [network, waiters] = first;
    this.#waiting.delete(network);
    const next = waiters.shift();
    if (waiters.length > 0) this.#waiting.set(network, waiters);
    this.#waitingCount--;
    next?.(true);
  }
}
