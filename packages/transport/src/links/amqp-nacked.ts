import type { Clock, Message, Timer } from '@nestmq/broker';
import type { Outgoing } from './amqp-confirms.js';

/** What was nacked is published again after that; after twice as long each time that it is nacked again. Milliseconds. */
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2000;

/**
 * Publishes that the broker has nacked, until they are published again. A nack does not say why: a queue is full, or, while
 * a quorum queue elects a leader, nobody could be asked. What follows with the same routing key waits behind them, so that
 * the order is kept.
 */
export class NackedPublishes {
  readonly #clock: Clock;
  readonly #again: (publishes: readonly Outgoing[]) => void;
  readonly #held = new Map<string, Outgoing[]>();
  #count = 0;
  #pauseMs = PAUSE_MS_MIN;
  #timer: Timer | undefined;

  constructor(clock: Clock, again: (publishes: readonly Outgoing[]) => void) {
    this.#clock = clock;
    this.#again = again;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether a message has to wait behind others. */
  holds(message: Message): boolean {
    return this.#count > 0 && this.#held.has(keyOf(message));
  }

  add(publish: Outgoing): void {
    const key = keyOf(publish.message);
    const others = this.#held.get(key);
    if (others === undefined) this.#held.set(key, [publish]);
    else others.push(publish);
    this.#count++;
    this.#timer ??= this.#clock.setTimer(this.#pauseMs, () => {
      this.#pauseMs = Math.min(PAUSE_MS_MAX, this.#pauseMs * 2);
      this.#again(this.takeAll());
    });
  }

  /** One that had been nacked was taken. */
  onTaken(): void {
    this.#pauseMs = PAUSE_MS_MIN;
  }

  /** In the order of their first publishing. */
  all(): Outgoing[] {
    return [...this.#held.values()].flat().toSorted((a, b) => a.sequence - b.sequence);
  }

  takeAll(): Outgoing[] {
    const all = this.all();
    this.#held.clear();
    this.#count = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
    return all;
  }
}

const keyOf = ({ exchange, routingKey }: Message): string => `${exchange}\0${routingKey}`;
