import type { Delivery } from '@nestmq/broker';
import type { Decision } from './engine-plans.js';
import { isWhole, numberOf, type Session } from './engine-session.js';

const LINGER_MS = 20;
const PREFETCH = 50;

/** Consumes one queue, does with each delivery what is decided for it, and writes down what became of it. */
export class Handler {
  readonly #held: Delivery[] = [];
  #drained: (() => void) | undefined;

  constructor(
    private readonly session: Session,
    private readonly queue: string,
    private readonly decide: (number: number, delivery: Delivery) => Decision,
  ) {}

  start(): void {
    this.session.connection.consume(this.queue, {
      prefetchCount: this.session.plan.heldMax + PREFETCH,
      onDelivery: (delivery) => this.#take(delivery),
    });
  }

  /** Resolves when nothing waits, and nothing is in hand. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drained = resolve;
      this.#resolveIfDrained();
    });
  }

  #resolveIfDrained(): void {
    if (this.#drained !== undefined && this.#left() === 0) this.#drained();
  }

  #left(): number {
    const { messageCount, unsettledCount } = this.session.connection.checkQueue(this.queue);
    return messageCount + unsettledCount;
  }

  #take(delivery: Delivery): void {
    const { ledger, plan } = this.session;
    const number = numberOf(delivery.message);
    ledger.write('delivered', this.queue, number);
    if (!isWhole(delivery.message, plan)) ledger.write('garbled', this.queue, number);
    this.#settle(delivery, this.decide(number, delivery));
  }

  #settle(delivery: Delivery, decision: Decision): void {
    switch (decision) {
      case 'ack':
        return this.#ack(delivery);
      case 'linger':
        setTimeout(() => this.#ack(delivery), LINGER_MS);
        return;
      case 'requeue':
        return this.#requeue(delivery);
      case 'forward':
        return this.#forward(delivery);
      case 'hold':
        return this.#hold(delivery);
    }
  }

  #ack(delivery: Delivery): void {
    const number = numberOf(delivery.message);
    this.session.ledger.write('handled', this.queue, number);
    delivery.ack();
    this.session.settlements.add(this.queue, number);
    this.#resolveIfDrained();
  }

  #requeue(delivery: Delivery): void {
    this.session.ledger.write('requeued', this.queue, numberOf(delivery.message));
    delivery.requeue({ failed: true });
  }

  /** It is settled here, and has yet to be handled there. */
  #forward(delivery: Delivery): void {
    const { connection, plan } = this.session;
    const { exchange, properties } = delivery.message;
    const outcome = connection.forward(delivery, { exchange, properties, routingKey: plan.forwardTo ?? '' });
    if (outcome !== 'routed') throw new Error(`a message could not be moved: it was ${outcome}`);
    this.session.settlements.add(this.queue, numberOf(delivery.message));
  }

  /** Any one of those held is let go for it, so that some stay for long. */
  #hold(delivery: Delivery): void {
    this.#held.push(delivery);
    this.session.watch.held(this.#key(delivery));
    if (this.#held.length <= this.session.plan.heldMax) return;
    const at = (numberOf(delivery.message) * 7919) % this.#held.length;
    for (const one of this.#held.splice(at, 1)) {
      this.session.watch.letGo(this.#key(one));
      this.#ack(one);
    }
  }

  #key(delivery: Delivery): string {
    return `${this.queue} ${numberOf(delivery.message)}`;
  }
}
