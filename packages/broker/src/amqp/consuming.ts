import { randomBytes } from 'node:crypto';
import type { Consumer } from '../queue/consumer.js';
import type { Delivery } from '../queue/delivery.js';
import { AmqpError, notImplemented } from './amqp-error.js';
import type { ChannelHost, QueueNames } from './channel-host.js';
import type { BasicConsume, BasicGet, BasicQos } from './protocol.js';
import { checkConsumerArguments } from './queue-arguments.js';
import { DIRECT_REPLY_TO } from './topology.js';
import type { Settlement, Transaction } from './transaction.js';
import { Unsettled } from './unsettled.js';

/** A channel's consumers, what they were handed, and how it is settled. */
export class Consuming {
  readonly #channel: number;
  readonly #host: ChannelHost;
  readonly #names: QueueNames;
  readonly #transaction: Transaction;
  readonly #consumers = new Map<string, Consumer>();
  readonly #unsettled = new Unsettled();
  #lastDeliveryTag = 0;
  /** Of consumers that come; 0 is no limit. */
  #prefetchCount = 0;
  /** Of the channel; 0 is no limit. */
  #channelPrefetchCount = 0;
  readonly #mayDeliver = (): boolean =>
    (this.#channelPrefetchCount === 0 || this.#unsettled.consumedCount < this.#channelPrefetchCount) &&
    this.#host.isDrained();

  constructor(channel: number, host: ChannelHost, names: QueueNames, transaction: Transaction) {
    this.#channel = channel;
    this.#host = host;
    this.#names = names;
    this.#transaction = transaction;
  }

  consume({ queue, consumerTag, noAck, exclusive, nowait, args }: BasicConsume): void {
    const { engine, outbox } = this.#host;
    const name = this.#names.expand(queue);
    if (name === DIRECT_REPLY_TO) throw notImplemented('direct reply-to is');
    this.#host.access.read('queue', name);
    checkConsumerArguments(name, args);
    const tag = consumerTag === '' ? `amq.ctag-${randomBytes(16).toString('base64url')}` : consumerTag;
    if (this.#consumers.has(tag))
      throw new AmqpError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
    const consumer = engine.consume(name, {
      // Tags are the channel's here, and the connection's there.
      consumerTag: `${this.#channel} ${tag}`,
      prefetchCount: this.#prefetchCount,
      noAck,
      exclusive,
      mayDeliver: this.#mayDeliver,
      onDelivery: (delivery) => this.#deliver(tag, delivery, noAck),
      onCancel: () => this.#cancelled(tag),
    });
    this.#consumers.set(tag, consumer);
    if (!nowait) outbox.method(this.#channel, { name: 'basic.consume-ok', consumerTag: tag });
  }

  #deliver(consumerTag: string, delivery: Delivery, noAck: boolean): void {
    const deliveryTag = this.#nextTag(delivery, noAck);
    const { message, redelivered } = delivery;
    const { exchange, routingKey } = message;
    this.#host.outbox.content(
      this.#channel,
      { name: 'basic.deliver', consumerTag, deliveryTag, redelivered, exchange, routingKey },
      message,
    );
  }

  #nextTag(delivery: Delivery, noAck: boolean): number {
    const deliveryTag = ++this.#lastDeliveryTag;
    if (!noAck) this.#unsettled.add(deliveryTag, delivery);
    return deliveryTag;
  }

  /** Its queue was deleted. */
  #cancelled(consumerTag: string): void {
    this.#consumers.delete(consumerTag);
    if (!this.#host.wantsCancel) return;
    this.#host.outbox.method(this.#channel, { name: 'basic.cancel', consumerTag, nowait: true });
  }

  /** One that is not there is not an error. */
  cancel(consumerTag: string): void {
    const consumer = this.#consumers.get(consumerTag);
    if (consumer === undefined) return;
    this.#consumers.delete(consumerTag);
    this.#host.engine.cancel(consumer);
  }

  async get({ queue, noAck }: BasicGet): Promise<void> {
    const { engine, outbox } = this.#host;
    const name = this.#names.expand(queue);
    this.#host.access.read('queue', name);
    const delivery = await engine.get(name, { noAck });
    if (delivery === undefined) {
      return outbox.method(this.#channel, { name: 'basic.get-empty', clusterId: '' });
    }
    const deliveryTag = this.#nextTag(delivery, noAck);
    const { message, redelivered, queue: from } = delivery;
    const { exchange, routingKey } = message;
    return outbox.content(
      this.#channel,
      {
        name: 'basic.get-ok',
        deliveryTag,
        redelivered,
        exchange,
        routingKey,
        messageCount: from.readyCount,
      },
      message,
    );
  }

  qos({ prefetchSize, prefetchCount, global }: BasicQos): void {
    if (prefetchSize !== 0) throw new AmqpError('NOT_IMPLEMENTED', `prefetch_size!=0 (${prefetchSize})`);
    if (!global) this.#prefetchCount = prefetchCount;
    else {
      this.#channelPrefetchCount = prefetchCount;
      this.wake();
    }
  }

  settle(tag: number | bigint, multiple: boolean, how: Settlement): void {
    const taken = this.#unsettled.take(tag, multiple);
    if (this.#transaction.isSelected) return this.#transaction.settle(taken, how);
    for (const [, delivery] of taken) {
      if (how === 'requeue') delivery.requeue({ failed: true });
      else if (how === 'ack') delivery.ack();
      else delivery.discard();
    }
    if (this.#channelPrefetchCount > 0) this.wake();
  }

  /** What a rolled-back transaction had settled is unsettled again. */
  putBack(taken: readonly [number, Delivery][]): void {
    this.#unsettled.putBack(taken);
  }

  recover(requeue: boolean): void {
    if (!requeue) throw new AmqpError('NOT_IMPLEMENTED', 'requeue=false');
    for (const [, delivery] of this.#unsettled.takeAll()) delivery.requeue({ failed: false });
    this.wake();
  }

  /** What kept consumers waiting may be gone. */
  wake(): void {
    for (const consumer of this.#consumers.values()) consumer.wake();
  }

  /** No more deliveries; what is unsettled goes back to its place. */
  close(): void {
    for (const consumer of this.#consumers.values()) this.#host.engine.cancel(consumer);
    this.#consumers.clear();
    const held = [...this.#unsettled.takeAll(), ...this.#transaction.rollback()];
    for (const [, delivery] of held) delivery.requeue({ failed: false });
  }
}
