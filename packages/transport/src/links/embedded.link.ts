import type { Connection, Delivery, Message } from '@nestmq/broker';
import type { BrokerLease } from './embedded-brokers.js';
import type { ConsumeOptions, Link, LinkDelivery, PublishCallback, Subscription } from './link.js';

/** {@link Link} to a broker in this process. */
export class EmbeddedLink implements Link {
  readonly #lease: BrokerLease;
  readonly #connection: Connection;
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

  publish(message: Message, done: PublishCallback): 'routed' | 'unroutable' {
    return this.#connection.publish(message, done);
  }

  async consume(queue: string, options: ConsumeOptions): Promise<Subscription> {
    const consumer = this.#connection.consume(queue, options);
    return { cancel: () => this.#connection.cancel(consumer) };
  }

  async forward(delivery: LinkDelivery, envelope: Omit<Message, 'body'>): Promise<void> {
    const outcome = this.#connection.forward(delivery as Delivery, envelope);
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
    await this.#lease.release();
  }
}
