import type { Connection } from '../connection.js';
import { LIMITS } from '../limits.js';
import { contentBytesOf, type Message } from '../message/message.js';
import type { Delivery } from '../queue/delivery.js';
import { AmqpError } from './amqp-error.js';

/** What a message takes beside its content. Bytes. */
const MESSAGE_BYTES = 256;
/** Of each queue that it goes to. Bytes. */
const TARGET_BYTES = 8;

export type Settlement = 'ack' | 'discard' | 'requeue';

interface Settled {
  readonly taken: readonly [number, Delivery][];
  readonly how: Settlement;
}

/** What a channel in transaction mode has published and settled since the last commit (AMQP 0-9-1, class `tx`). */
export class Transaction {
  isSelected = false;
  #messages: Message[] = [];
  #mandatory: boolean[] = [];
  #settled: Settled[] = [];
  #bytes = 0;
  #settledCount = 0;
  #settledBytes = 0;

  /** Settled, and held until the commit. */
  get settledCount(): number {
    return this.#settledCount;
  }

  /** Of their bodies and properties. */
  get settledBytes(): number {
    return this.#settledBytes;
  }

  /** It goes to so many queues. Throws PRECONDITION_FAILED when all that waits for the commit takes too much. */
  publish(
    message: Message,
    { mandatory, queues }: { readonly mandatory: boolean; readonly queues: number },
  ): void {
    this.#bytes += MESSAGE_BYTES + TARGET_BYTES * queues + contentBytesOf(message);
    if (this.#bytes > LIMITS.transactionBytesMax) {
      const bytesMax = LIMITS.transactionBytesMax;
      throw new AmqpError('PRECONDITION_FAILED', `transaction of more than ${bytesMax} bytes`);
    }
    this.#messages.push(message);
    this.#mandatory.push(mandatory);
  }

  settle(taken: readonly [number, Delivery][], how: Settlement): void {
    this.#settled.push({ taken, how });
    this.#settledCount += taken.length;
    for (const [, { message }] of taken) this.#settledBytes += contentBytesOf(message);
  }

  /** One commit of the journal: all of it or nothing (J2). Returns the mandatory messages that nobody took. */
  commit(engine: Connection): Message[] {
    const messages = this.#messages;
    const acked = this.#settledBy('ack').concat(
      this.#settledBy('discard').filter(({ queue }) => !queue.isRuled),
    );
    const outcomes = engine.transact(messages, acked);
    // Dead letters go by themselves, as in RabbitMQ.
    for (const delivery of this.#settledBy('discard')) delivery.discard();
    for (const delivery of this.#settledBy('requeue')) delivery.requeue({ failed: true });
    const returned = messages.filter((_, i) => this.#mandatory[i] === true && outcomes[i] === 'unroutable');
    this.#clear();
    return returned;
  }

  #settledBy(kind: Settlement): Delivery[] {
    return this.#settled.flatMap(({ taken, how }) =>
      how === kind ? taken.map(([, delivery]) => delivery) : [],
    );
  }

  /** Forgets it all; returns what is unsettled again. */
  rollback(): [number, Delivery][] {
    const taken = this.#settled.flatMap((one) => one.taken);
    this.#clear();
    return taken;
  }

  #clear(): void {
    this.#messages = [];
    this.#mandatory = [];
    this.#settled = [];
    this.#bytes = this.#settledCount = this.#settledBytes = 0;
  }
}
