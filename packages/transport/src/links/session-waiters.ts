import type { Clock, Timer } from '@nestmq/broker';
import { QueueUnavailableException } from '../queue.exceptions.js';
import type { AmqpSession } from './amqp-session.js';

interface Waiter {
  readonly resolve: (session: AmqpSession) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

/** The session of now, and those who wait for the next one. */
export class SessionWaiters {
  readonly #clock: Clock;
  readonly #patienceMs: number;
  readonly #waiters = new Set<Waiter>();
  #current: AmqpSession | undefined;
  #away: Error | undefined;
  #ended: Error | undefined;

  constructor(clock: Clock, patienceMs: number) {
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  get current(): AmqpSession | undefined {
    return this.#current;
  }

  set(session: AmqpSession): void {
    this.#current = session;
    this.#away = undefined;
    for (const { timer, resolve } of this.#leave()) {
      timer.cancel();
      resolve(session);
    }
  }

  unset(reason: Error): void {
    this.#current = undefined;
    this.#away = reason;
  }

  /** There is none any more: all who wait, and all who come, get the reason. */
  end(reason: Error): void {
    this.#current = undefined;
    this.#ended ??= reason;
    for (const { timer, reject } of this.#leave()) {
      timer.cancel();
      reject(reason);
    }
  }

  #leave(): readonly Waiter[] {
    const all = [...this.#waiters];
    this.#waiters.clear();
    return all;
  }

  /** Until when who comes now waits at most; milliseconds since the epoch. */
  deadline(): number {
    return this.#clock.now() + this.#patienceMs;
  }

  /** Rejects with QueueUnavailableException when there is none by then. */
  async get(deadline: number): Promise<AmqpSession> {
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#current !== undefined && !this.#current.ended) return this.#current;
    return new Promise((resolve, reject) => {
      const left = Math.max(0, deadline - this.#clock.now());
      const timer = this.#clock.setTimer(left, () => {
        this.#waiters.delete(waiter);
        const why = this.#away?.message ?? 'it is being set up';
        reject(
          new QueueUnavailableException(`No connection to the broker within ${this.#patienceMs} ms: ${why}`),
        );
      });
      const waiter: Waiter = { resolve, reject, timer };
      this.#waiters.add(waiter);
    });
  }
}
