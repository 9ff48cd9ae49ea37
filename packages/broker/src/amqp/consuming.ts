import { randomBytes } from 'node:crypto';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { Consumer } from '../queue/consumer.js';
import type { Delivery } from '../queue/delivery.js';
import { REPLY_TO, type ReplyConsumer } from '../reply-consumers.js';
import { AmqpError } from './amqp-error.js';
import type { ChannelHost, QueueNames } from './channel-host.js';
import type { FrameParser } from './frame-parser.js';
import type { BasicConsume, BasicGet, BasicQos } from './protocol.js';
import { deliveryStart } from './outbox.js';
import { consumerPriority } from './queue-arguments.js';
import type { Settlement, Transaction } from './transaction.js';
import { withDeliveryCount } from './delivery-count.js';
import { Unsettled } from './unsettled.js';

/** A `basic.ack` is class and method, then the tag in eight octets, and one with the bit `multiple`. */
const ACK_TAG_AT = 4;
const ACK_ARGUMENT_BYTES = 9;

/** A channel's consumers, what they were handed, and how it is settled. */
export class Consuming {
  readonly #channel: number;
  readonly #host: ChannelHost;
  readonly #names: QueueNames;
  readonly #transaction: Transaction;
  readonly #consumers = new Map<string, Consumer>();
  #replies: { readonly tag: string; readonly consumer: ReplyConsumer } | undefined;
  readonly #unsettled = new Unsettled();
  #lastDeliveryTag = 0;
  /** Of consumers that come; 0 is no limit. */
  #prefetchCount = 0;
  /** Of the channel; 0 is no limit. */
  #channelPrefetchCount = 0;
  /** Tags of consumers that were cancelled while their channel deletes a queue. */
  #heldCancels: string[] | undefined;
  /** Some consumer was held up since so much is unsettled. */
  #isHeldUp = false;
  readonly #mayDeliver = (): boolean =>
    (this.#channelPrefetchCount === 0 || this.#unsettled.consumedCount < this.#channelPrefetchCount) &&
    this.#host.isDrained();
  /** To consumers that have to settle. */
  readonly #mayDeliverMore = (): boolean => {
    this.#isHeldUp ||= this.#isFull();
    return !this.#isHeldUp && this.#mayDeliver();
  };

  constructor(channel: number, host: ChannelHost, names: QueueNames, transaction: Transaction) {
    this.#channel = channel;
    this.#host = host;
    this.#names = names;
    this.#transaction = transaction;
  }

  consume({ queue, consumerTag, noAck, exclusive, nowait, args }: BasicConsume): void {
    const { engine, outbox } = this.#host;
    const name = this.#names.expand(queue);
    if (name !== REPLY_TO) this.#host.access.read('queue', name);
    const tag = consumerTag === '' ? `amq.ctag-${randomBytes(16).toString('base64url')}` : consumerTag;
    const isReplies = name === REPLY_TO;
    if (this.#consumers.has(tag) || (!isReplies && this.#replies?.tag === tag))
      throw new AmqpError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
    if (isReplies) return this.#consumeReplies(tag, noAck, nowait);
    const priority = consumerPriority(name, this.#host.access.vhost, args);
    const start = deliveryStart(this.#channel, tag);
    const consumer = engine.consume(name, {
      // Tags are the channel's here, and the connection's there.
      consumerTag: `${this.#channel} ${tag}`,
      prefetchCount: this.#prefetchCount,
      noAck,
      exclusive,
      priority,
      mayDeliver: noAck ? this.#mayDeliver : this.#mayDeliverMore,
      onDelivery: (delivery) => {
        const deliveryTag = this.#nextTag(delivery, noAck);
        outbox.delivery(this.#channel, start, deliveryTag, withDeliveryCount(delivery), delivery.redelivered);
      },
      onCancel: () => this.#cancelled(tag),
    });
    this.#consumers.set(tag, consumer);
    if (!nowait) outbox.method(this.#channel, { name: 'basic.consume-ok', consumerTag: tag });
  }

  /** One for each channel: its publishes name it without a tag. */
  #consumeReplies(tag: string, noAck: boolean, nowait: boolean): void {
    const { engine, outbox } = this.#host;
    if (this.#replies !== undefined) throw new AmqpError('PRECONDITION_FAILED', 'reply consumer already set');
    if (!noAck) throw new AmqpError('PRECONDITION_FAILED', 'reply consumer cannot acknowledge');
    const consumer = engine.consumeReplies({
      // Nobody keeps replies for a client that does not read.
      mayDeliver: () => outbox.unsentBytes < LIMITS.unsentBytesMax,
      onReply: (message) => this.#deliverReply(tag, message),
    });
    this.#replies = { tag, consumer };
    if (!nowait) outbox.method(this.#channel, { name: 'basic.consume-ok', consumerTag: tag });
  }

  /** The name by which replies come to this channel. */
  get replyName(): string | undefined {
    return this.#replies?.consumer.name;
  }

  #deliverReply(consumerTag: string, message: Message): void {
    const { exchange, routingKey } = message;
    const deliveryTag = ++this.#lastDeliveryTag;
    this.#host.outbox.content(
      this.#channel,
      { name: 'basic.deliver', consumerTag, deliveryTag, redelivered: false, exchange, routingKey },
      message,
    );
  }

  #cancelReplies(): void {
    if (this.#replies !== undefined) this.#host.engine.cancelReplies(this.#replies.consumer);
    this.#replies = undefined;
  }

  #nextTag(delivery: Delivery, noAck: boolean): number {
    const deliveryTag = ++this.#lastDeliveryTag;
    if (!noAck) this.#unsettled.add(deliveryTag, delivery);
    return deliveryTag;
  }

  /** Consumers whose queue `step` deletes hear of it after its answer, as in RabbitMQ: clients may close then. */
  async cancelledAfter(step: () => Promise<void>): Promise<void> {
    this.#heldCancels = [];
    try {
      await step();
    } finally {
      const tags = this.#heldCancels;
      this.#heldCancels = undefined;
      for (const tag of tags ?? []) this.#tellCancelled(tag);
    }
  }

  /** Its queue was deleted. */
  #cancelled(consumerTag: string): void {
    this.#consumers.delete(consumerTag);
    if (this.#heldCancels === undefined) this.#tellCancelled(consumerTag);
    else this.#heldCancels.push(consumerTag);
  }

  #tellCancelled(consumerTag: string): void {
    if (!this.#host.wantsCancel) return;
    this.#host.outbox.method(this.#channel, { name: 'basic.cancel', consumerTag, nowait: true });
  }

  /** One that is not there is not an error. */
  cancel(consumerTag: string): void {
    if (this.#replies?.tag === consumerTag) return this.#cancelReplies();
    const consumer = this.#consumers.get(consumerTag);
    if (consumer === undefined) return undefined;
    this.#consumers.delete(consumerTag);
    return this.#host.engine.cancel(consumer);
  }

  async get({ queue, noAck }: BasicGet): Promise<void> {
    const { engine, outbox } = this.#host;
    const name = this.#names.expand(queue);
    this.#host.access.read('queue', name);
    if (!noAck && this.#isFull())
      throw new AmqpError(
        'PRECONDITION_FAILED',
        `${this.#unsettled.count} messages are unsettled on this channel`,
      );
    const delivery = await engine.get(name, { noAck });
    if (delivery === undefined) {
      return outbox.method(this.#channel, { name: 'basic.get-empty', clusterId: '' });
    }
    const deliveryTag = this.#nextTag(delivery, noAck);
    const { redelivered, queue: from } = delivery;
    const message = withDeliveryCount(delivery);
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

  /** `basic.ack` of one delivery. Returns false, with nothing done, where {@link settle} has to see to it. */
  ackOne({ buffer, start, end }: FrameParser): boolean {
    const tagAt = start + ACK_TAG_AT;
    const isPlain =
      end - tagAt === ACK_ARGUMENT_BYTES && buffer.readUInt32BE(tagAt) === 0 && buffer[end - 1] === 0;
    if (!isPlain || this.#transaction.isSelected) return false;
    const delivery = this.#unsettled.takeOne(buffer.readUInt32BE(tagAt + 4));
    if (delivery === undefined) return false;
    delivery.ack();
    this.#onSettled();
    return true;
  }

  settle(tag: number | bigint, multiple: boolean, how: Settlement): void {
    const taken = this.#unsettled.take(tag, multiple);
    if (this.#transaction.isSelected) return this.#transaction.settle(taken, how);
    for (const [, delivery] of taken) {
      if (how === 'requeue') delivery.requeue({ failed: true });
      else if (how === 'ack') delivery.ack();
      else delivery.discard();
    }
    this.#onSettled();
  }

  #onSettled(): void {
    if (this.#channelPrefetchCount > 0 || this.#isHeldUp) this.wake();
  }

  /** The bound of what a channel may leave unsettled is reached. */
  #isFull(): boolean {
    const { settledCount, settledBytes } = this.#transaction;
    const { unsettledMax, unsettledBytesMax } = LIMITS;
    const { count, bytes } = this.#unsettled;
    return count + settledCount >= unsettledMax || bytes + settledBytes >= unsettledBytesMax;
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
    this.#isHeldUp = false;
    for (const consumer of this.#consumers.values()) consumer.wake();
  }

  /** No more deliveries; what is unsettled goes back to its place. */
  close(): void {
    for (const consumer of this.#consumers.values()) this.#host.engine.cancel(consumer);
    this.#consumers.clear();
    this.#cancelReplies();
    const held = [...this.#unsettled.takeAll(), ...this.#transaction.rollback()];
    for (const [, delivery] of held) delivery.requeue({ failed: false });
  }
}
