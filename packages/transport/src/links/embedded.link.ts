import {
  BrokerError,
  type Connection,
  type Delivery,
  type Message,
  type PublishOutcome,
} from '@nestmq/broker';
import type { BrokerLease } from './embedded-brokers.js';
import { NoHandlerException } from '../queue.exceptions.js';
import type {
  ConsumeOptions,
  Link,
  LinkDelivery,
  PublishCallback,
  PublishOptions,
  Subscription,
} from './link.js';

interface WaitingPublish {
  readonly message: Message;
  readonly done: PublishCallback;
  readonly options: PublishOptions;
}

/** Publishes that wait while the broker blocks publishers: more would fill memory instead of the disk. */
const WAITING_PUBLISHES_MAX = 10_000;

function isClosed(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 'CLOSED';
}

/** {@link Link} to a broker in this process. */
export class EmbeddedLink implements Link {
  readonly #lease: BrokerLease;
  readonly #connection: Connection;
  readonly #waiting: WaitingPublish[] = [];
  #closing: Promise<void> | undefined;

  constructor(lease: BrokerLease) {
    this.#lease = lease;
    this.#connection = lease.broker.connect();
  }

  async declareExchange(name: string): Promise<void> {
    await this.#connection.declareExchange(name, { type: 'topic' });
  }

  async declareQueue(name: string): Promise<void> {
    await this.#connection.declareQueue(name);
  }

  async declareReplyQueue(): Promise<string> {
    return (await this.#connection.declareQueue('', { exclusive: true })).name;
  }

  bindQueue(queue: string, exchange: string, key: string): Promise<void> {
    return this.#connection.bindQueue(queue, exchange, key);
  }

  publish(
    message: Message,
    done: PublishCallback,
    options: PublishOptions = {},
  ): 'routed' | 'unroutable' | 'waiting' {
    const connection = this.#connection;
    const mustWait = this.#waiting.length > 0 || connection.blocked !== undefined;
    if (mustWait && options.settles !== true) return this.#wait({ message, done, options });
    return this.#publish({ message, done, options });
  }

  #publish({ message, done, options }: WaitingPublish): 'routed' | 'unroutable' {
    const settles = options.settles === true;
    if (options.mandatory !== true) return toldLater(this.#connection.publish(message, done, { settles }));
    let routed = true;
    const onDurable = (error?: Error): void => {
      if (routed) done(error);
    };
    const outcome = toldLater(this.#connection.publish(message, onDurable, { settles }));
    routed = outcome === 'routed';
    if (!routed) queueMicrotask(() => done(new NoHandlerException(message.routingKey)));
    return outcome;
  }

  #wait(publish: WaitingPublish): 'waiting' {
    if (this.#waiting.length >= WAITING_PUBLISHES_MAX) {
      // It throws the reason.
      this.#publish(publish);
    }
    this.#waiting.push(publish);
    if (this.#waiting.length === 1) void this.#publishWaiting();
    return 'waiting';
  }

  /** Publishes what waits, in order, when the broker lets it; tells each when that can't be. */
  async #publishWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      try {
        await this.#connection.unblocked();
        for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
          this.#publish(next);
          this.#waiting.shift();
        }
      } catch (error) {
        // Blocked again is not the end of it; anything else is the fate of the first.
        if (this.#connection.blocked === undefined || isClosed(error))
          this.#waiting.shift()?.done(error as Error);
      }
    }
  }

  async consume(queue: string, options: ConsumeOptions): Promise<Subscription> {
    const consumer = this.#connection.consume(queue, options);
    return { cancel: () => this.#connection.cancel(consumer) };
  }

  async forward(delivery: LinkDelivery, envelope: Omit<Message, 'body'>): Promise<void> {
    const outcome = this.#connection.forward(delivery as Delivery, envelope);
    if (outcome === 'rejected') {
      throw new Error(
        `A queue that '${envelope.exchange}' leads to for '${envelope.routingKey}' is full, so the message stays where it is.`,
      );
    }
    if (outcome === 'unroutable') {
      throw new Error(
        `Nothing is bound to '${envelope.exchange}' for '${envelope.routingKey}', so the message stays where it is. Restart the service: it declares its queues anew.`,
      );
    }
    await this.flush();
  }

  flush(): Promise<void> {
    return this.#connection.durable();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#connection.close();
    const closed = new BrokerError('CLOSED', 'The link was closed while publishing was blocked.', {
      cure: 'Publish again when it is open; nothing of it was stored.',
    });
    for (const { done } of this.#waiting.splice(0)) done(closed);
    await this.#lease.release();
  }
}

/** That a queue is full is told by the callback, as any failure is. */
function toldLater(outcome: PublishOutcome): 'routed' | 'unroutable' {
  return outcome === 'unroutable' ? outcome : 'routed';
}
