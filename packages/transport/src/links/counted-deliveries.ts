import type { Connection, Consumer, Delivery } from '@nestmq/broker';
import type { Suspects } from './suspects.js';

/** So many of what was found at opening are counted at least, whatever the prefetch: more than may have been in hand. */
const COUNTED_MIN = 1000;

export interface CountedDeliveriesInit {
  readonly connection: Pick<Connection, 'durable'>;
  readonly prefetchCount: number;
  /** See {@link ConsumeOptions.deliveryLimit}. 2 at least: once together with others, once alone. */
  readonly deliveryLimit: number;
  /** Those of its broker. */
  readonly suspects: Suspects;
  readonly onDelivery: (delivery: Delivery) => void;
}

/**
 * Hands deliveries of one consumer on, in their order, and of what the broker found at opening only what is durably counted
 * before: the process may die of it. What was counted half as often as it may be is handed over alone, and while no such
 * message of another queue is in hand, so that of several messages that are in hand at each end, those that are handled
 * well leave, and only the other one is counted to its end.
 */
export class CountedDeliveries {
  readonly #init: CountedDeliveriesInit;
  readonly #aloneFrom: number;
  #countable: number;
  /** In their order. */
  #held: Delivery[] = [];
  #alone: Delivery | undefined;
  #isPumping = false;
  /** Whose deliveries they are. To be set before the first comes. */
  consumer: Pick<Consumer, 'unsettledCount'> | undefined;

  constructor(init: CountedDeliveriesInit) {
    this.#init = init;
    this.#aloneFrom = Math.floor(init.deliveryLimit / 2);
    this.#countable = Math.max(COUNTED_MIN, init.prefetchCount);
  }

  /** For `onDelivery` of the consumer. */
  readonly take = (delivery: Delivery): void => {
    const mayPass = this.#held.length === 0 && this.#alone === undefined;
    if (mayPass && !this.#isCountable(delivery)) return this.#init.onDelivery(delivery);
    this.#held.push(delivery);
    return this.#schedule();
  };

  /** For `onSettled` of the consumer. */
  readonly settled = (): void => {
    if (this.#held.length > 0 || this.#alone !== undefined) this.#schedule();
  };

  /** What has not been handed on goes back to its place, uncounted. */
  giveBack(): void {
    for (const delivery of this.#held.splice(0)) delivery.requeue({ failed: false });
  }

  /** Most of what was found waits behind what may have been in hand, and is not worth a record each. */
  #isCountable(delivery: Delivery): boolean {
    return delivery.isFound && (delivery.deliveryCount > 0 || this.#countable > 0);
  }

  #schedule(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    queueMicrotask(() => void this.#pump());
  }

  async #pump(): Promise<void> {
    for (let batch = this.#next(); batch.length > 0; batch = this.#next()) {
      const isCountable = this.#isCountable(batch[0] as Delivery);
      if (isCountable) await this.#count(batch);
      this.#handOver(batch);
    }
    this.#isPumping = false;
  }

  /** What may be handed over now: all of it is to be counted, or none. */
  #next(): readonly Delivery[] {
    this.#held = this.#held.filter(({ settled }) => !settled);
    if (this.#alone?.settled === true) this.#leave(this.#alone);
    const [first] = this.#held;
    if (first === undefined || this.#alone !== undefined) return [];
    const isCountable = this.#isCountable(first);
    if (isCountable && this.#goesAlone(first)) return this.#takeAlone(first) ? [first] : [];
    const end = this.#held.findIndex(
      (one) => this.#isCountable(one) !== isCountable || (isCountable && this.#goesAlone(one)),
    );
    return end < 0 ? this.#held.slice() : this.#held.slice(0, end);
  }

  #takeAlone(delivery: Delivery): boolean {
    if (!this.#isIdle || !this.#init.suspects.take(delivery, this.settled)) return false;
    this.#alone = delivery;
    return true;
  }

  #leave(delivery: Delivery): void {
    this.#alone = undefined;
    this.#init.suspects.leave(delivery);
  }

  #goesAlone({ deliveryCount }: Delivery): boolean {
    return deliveryCount >= this.#aloneFrom;
  }

  /** Nothing was handed over that is not settled. */
  get #isIdle(): boolean {
    return (this.consumer?.unsettledCount ?? 0) === this.#held.length;
  }

  async #count(batch: readonly Delivery[]): Promise<void> {
    for (const delivery of batch) delivery.count();
    this.#countable = Math.max(0, this.#countable - batch.length);
    try {
      await this.#init.connection.durable();
    } catch {
      // A disk that has failed keeps no count, and consumers go on all the same; the broker tells of it.
    }
  }

  #handOver(batch: readonly Delivery[]): void {
    const gone = new Set(batch);
    this.#held = this.#held.filter((one) => !gone.has(one));
    for (const delivery of batch) if (!delivery.settled) this.#init.onDelivery(delivery);
  }
}
