import { randomBytes } from 'node:crypto';
import type { ConsumeOptions } from './consume-options.js';
import type { ExchangeType } from './definitions/definitions.js';
import { BrokerError, channelError, connectionError, messageOf } from './errors.js';
import type { BindingInit, ExchangeOptions } from './exchanges.js';
import type { FieldTable, Message } from './message/message.js';
import { Consumer } from './queue/consumer.js';
import type { Delivery } from './queue/delivery.js';
import type { PublishGate } from './publish-gate.js';
import type { Queue } from './queue/queue.js';
import { type QueueState, stateOf } from './queue/queue-state.js';
import type { ReplyConsumer, ReplyConsumerInit } from './reply-consumers.js';
import type { DurableCallback, MessageStore } from './store/message-store.js';
import type { PublishOutcome } from './message-way.js';
import type { DeleteOptions, QueueOptions, Vhost } from './vhost.js';

export interface ConnectionInit {
  readonly vhost: Vhost;
  /** Whose session it is; undefined is the application's own. */
  readonly user: string | undefined;
  readonly store: MessageStore;
  readonly gate: PublishGate;
  readonly onClose: (connection: Connection) => void;
  readonly onEnd: ((reason: string) => void) | undefined;
}

/**
 * A client's session with the engine: owner of exclusive queues and of consumers. Methods are AMQP 0-9-1's; those
 * that change definitions resolve when the change is durable. Errors are BrokerErrors with RabbitMQ's texts.
 */
export class Connection {
  readonly #vhost: Vhost;
  readonly #store: MessageStore;
  readonly #gate: PublishGate;
  readonly #onClose: (connection: Connection) => void;
  readonly #onEnd: ((reason: string) => void) | undefined;
  readonly user: string | undefined;
  /** Those that take deliveries, by tag. */
  readonly #consumers = new Map<string, Consumer>();
  /** Cancelled ones that may still have unsettled deliveries. */
  readonly #cancelled = new Set<Consumer>();
  /** Those that hold what was got without consuming. */
  readonly #holders = new Map<Queue, Consumer>();
  readonly #replyConsumers = new Set<ReplyConsumer>();
  #closed = false;

  /** @internal */
  constructor({ vhost, user, store, gate, onClose, onEnd }: ConnectionInit) {
    this.#vhost = vhost;
    this.#store = store;
    this.#gate = gate;
    this.#onClose = onClose;
    this.#onEnd = onEnd;
    this.user = user;
  }

  get vhostName(): string {
    return this.#vhost.name;
  }

  /** The type of an exchange, or undefined when there is no such exchange. */
  exchangeType(name: string): ExchangeType | undefined {
    return this.#vhost.exchangeType(name);
  }

  /** Resolves when it is durable. Throws PRECONDITION_FAILED when it is there and other. */
  async declareExchange(name: string, options: ExchangeOptions): Promise<void> {
    this.#assertOpen();
    this.#vhost.declareExchange(name, options);
    await this.durable();
  }

  /** Throws NOT_FOUND (AMQP 0-9-1, `exchange.declare` with `passive`). */
  checkExchange(name: string): void {
    this.#assertOpen();
    this.#vhost.checkExchange(name);
  }

  /** With its bindings. One that is not there is no error. Resolves when that is durable. */
  async deleteExchange(name: string, options: Pick<DeleteOptions, 'ifUnused'> = {}): Promise<void> {
    this.#assertOpen();
    this.#vhost.deleteExchange(name, options);
    await this.durable();
  }

  /** An empty `name` makes a server-named queue; its name is in the result. */
  async declareQueue(name: string, options: QueueOptions = {}): Promise<QueueState> {
    this.#assertOpen();
    const queue = this.#vhost.declareQueue(name, options, this);
    if (queue.init.durable) await this.durable();
    return stateOf(queue);
  }

  /** The queue as it is now. Throws NOT_FOUND (AMQP 0-9-1, `queue.declare` with `passive`). */
  checkQueue(name: string): QueueState {
    this.#assertOpen();
    return stateOf(this.#vhost.queue(name, this));
  }

  /** Whether there is such a queue, of this connection or not. */
  hasQueue(name: string): boolean {
    return this.#vhost.has(name);
  }

  /** Resolves with how many messages were ready. */
  async deleteQueue(name: string, options: DeleteOptions = {}): Promise<number> {
    this.#assertOpen();
    const count = this.#vhost.deleteQueue(name, this, options);
    await this.durable();
    return count;
  }

  /** Resolves with how many messages were removed. */
  async purgeQueue(name: string): Promise<number> {
    this.#assertOpen();
    const count = this.#vhost.queue(name, this).purge();
    await this.durable();
    return count;
  }

  /** Two bindings that differ in `args` alone are two; a buffer is a field table as it is on the wire. */
  async bindQueue(queue: string, exchange: string, key: string, args?: FieldTable | Buffer): Promise<void> {
    this.#assertOpen();
    this.#vhost.bind({ source: exchange, destination: queue, key, arguments: args }, this);
    await this.durable();
  }

  /** A binding with other arguments stays. One that is not there is not an error. */
  async unbindQueue(queue: string, exchange: string, key: string, args?: FieldTable | Buffer): Promise<void> {
    this.#assertOpen();
    this.#vhost.unbind({ source: exchange, destination: queue, key, arguments: args }, this);
    await this.durable();
  }

  /** What the source routes by this binding goes on to the exchange `destination` (rabbitmq.com/e2e). */
  async bindExchange(binding: BindingInit<string>): Promise<void> {
    this.#assertOpen();
    this.#vhost.bindExchange(binding);
    await this.durable();
  }

  /** As {@link unbindQueue}. */
  async unbindExchange(binding: BindingInit<string>): Promise<void> {
    this.#assertOpen();
    this.#vhost.unbindExchange(binding);
    await this.durable();
  }

  /**
   * Routes and stores the message. `onDurable` is called once, later: without an error when the message is in all
   * its durable queues on the disk (J1), or there is nothing to store; that is RabbitMQ's publisher confirm. With
   * REJECTED when a queue is full and did not take it (`x-overflow`).
   *
   * Throws BLOCKED while the disk is nearly full (see {@link unblocked}), unless `settles`: it is a part of settling
   * a delivery, which goes on. Throws STORE_FAILED while the disk does not work.
   */
  publish(
    message: Message,
    onDurable?: DurableCallback,
    { settles = false }: { readonly settles?: boolean } = {},
  ): PublishOutcome {
    this.#assertOpen();
    if (!settles) this.#gate.assertOpen();
    const outcome = this.#vhost.publish(message);
    if (onDurable === undefined) return outcome;
    if (outcome === 'rejected') this.#store.whenDurable((error) => onDurable(error ?? queueIsFull(message)));
    else this.#store.whenDurable(onDurable);
    return outcome;
  }

  /**
   * Routes a message that {@link transact} publishes later: to the queues that are bound now, as far as they are there then.
   * Returns how many queues that are. Throws as {@link publish}, but for a bad expiration.
   */
  prepare(message: Message): number {
    this.#assertOpen();
    return this.#vhost.prepare(message);
  }

  /**
   * Publishes messages and acks deliveries, all or none of it, also after a crash (J2); `onDurable` as in
   * {@link publish}, and so is `settles`. Throws, with nothing done, as {@link publish}, TRANSACTION_TOO_LARGE, and
   * PRECONDITION_FAILED when a queue is full.
   */
  transact(
    messages: readonly Message[],
    acked: readonly Delivery[],
    onDurable?: DurableCallback,
    { settles = false }: { readonly settles?: boolean } = {},
  ): PublishOutcome[] {
    this.#assertOpen();
    if (messages.length > 0 && !settles) this.#gate.assertOpen();
    const outcomes = this.#vhost.transact(messages, acked);
    if (onDurable !== undefined) this.#store.whenDurable(onDurable);
    return outcomes;
  }

  /** Throws NOT_FOUND when there is no such exchange to publish to, ACCESS_REFUSED when it is internal. */
  checkRoute(exchange: string): void {
    this.#assertOpen();
    this.#vhost.checkRoute(exchange);
  }

  /** Why {@link publish} throws BLOCKED now, if so: the disk is nearly full, or memory. Everything else goes on. */
  get blocked(): string | undefined {
    return this.#gate.reason;
  }

  /** Resolves when publishing is possible; rejects with CLOSED when the broker is closed before. */
  unblocked(): Promise<void> {
    return this.#gate.whenOpen();
  }

  /** Settles a delivery by publishing its body under a new envelope, in one step (J2); not when that is unroutable. */
  forward(delivery: Delivery, envelope: Omit<Message, 'body'>): PublishOutcome | 'settled' {
    this.#assertOpen();
    return this.#vhost.forward(delivery, envelope);
  }

  /** Throws NOT_FOUND, NOT_ALLOWED for a tag that is in use, ACCESS_REFUSED where another has it to itself. */
  consume(queueName: string, options: ConsumeOptions): Consumer {
    this.#assertOpen();
    const queue = this.#vhost.queue(queueName, this);
    const { consumerTag: tag = `amq.ctag-${randomBytes(16).toString('base64url')}`, exclusive = false } =
      options;
    if (this.#consumers.has(tag))
      throw connectionError('NOT_ALLOWED', `attempt to reuse consumer tag '${tag}'`);
    const { singleActiveConsumer } = queue.settings;
    if (queue.hasExclusiveConsumer || (exclusive && (singleActiveConsumer || queue.consumerCount > 0))) {
      throw this.#inExclusiveUse(queueName);
    }
    const consumer: Consumer = queue.addConsumer({
      tag,
      exclusive,
      priority: options.priority ?? 0,
      prefetchCount: options.prefetchCount ?? 0,
      noAck: options.noAck ?? false,
      mayDeliver: options.mayDeliver,
      onDelivery: options.onDelivery,
      onSettled: options.onSettled,
      onCancel: () => {
        this.cancel(consumer);
        options.onCancel?.();
      },
    });
    this.#consumers.set(tag, consumer);
    return consumer;
  }

  /**
   * Replies to its `name`, as `reply-to` of a request, come here without a queue and a store: at most once, and only
   * while this connection is open (rabbitmq.com/direct-reply-to).
   */
  consumeReplies(init: ReplyConsumerInit): ReplyConsumer {
    this.#assertOpen();
    const consumer = this.#vhost.replies.add(init);
    this.#replyConsumers.add(consumer);
    return consumer;
  }

  /** Replies that are on their way go nowhere. Idempotent. */
  cancelReplies(consumer: ReplyConsumer): void {
    this.#vhost.replies.remove(consumer);
    this.#replyConsumers.delete(consumer);
  }

  /** Whether somebody takes replies by this name. */
  hasReplyConsumer(name: string): boolean {
    this.#assertOpen();
    return this.#vhost.replies.has(name);
  }

  /**
   * The next message, or undefined when none is ready; without `noAck` it is to be settled. Prefetch does not count
   * (AMQP 0-9-1, `basic.get`). Rejects with STORE_FAILED or JOURNAL_DAMAGED when it can't be read.
   */
  get(
    queueName: string,
    { noAck = false }: Pick<ConsumeOptions, 'noAck'> = {},
  ): Promise<Delivery | undefined> {
    this.#assertOpen();
    const queue = this.#vhost.queue(queueName, this);
    if (queue.hasExclusiveConsumer) throw this.#inExclusiveUse(queueName);
    const { type, singleActiveConsumer } = queue.settings;
    if (type === 'quorum' && singleActiveConsumer) throw this.#notForGet(queueName);
    queue.touch();
    if (queue.readyCount === 0) return Promise.resolve(undefined);
    const holder = noAck ? newHolder(queue, true) : this.#holderOf(queue);
    return new Promise((resolve, reject) => {
      const onFailure = (cause: unknown): void => reject(unreadable(queueName, cause));
      queue.get({ holder, onMessage: resolve, onEmpty: () => resolve(undefined), onFailure });
    });
  }

  #holderOf(queue: Queue): Consumer {
    const known = this.#holders.get(queue);
    if (known !== undefined) return known;
    for (const [other, { unsettledCount }] of this.#holders)
      if (other.isDeleted && unsettledCount === 0) this.#holders.delete(other);
    const holder = newHolder(queue, false);
    this.#holders.set(queue, holder);
    return holder;
  }

  /** No more deliveries for this consumer; its unsettled ones can still be settled. Idempotent. */
  cancel(consumer: Consumer): void {
    consumer.cancel();
    // Another consumer may have taken the tag since.
    if (this.#consumers.get(consumer.tag) === consumer) this.#consumers.delete(consumer.tag);
    for (const one of this.#cancelled) if (one.unsettledCount === 0) this.#cancelled.delete(one);
    if (consumer.unsettledCount > 0) this.#cancelled.add(consumer);
  }

  /** Resolves when everything done before is durable; rejects with STORE_FAILED when that can't be known. */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#store.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Closes from inside; its client is told why. */
  end(reason: string): void {
    this.close();
    this.#onEnd?.(reason);
  }

  /** Requeues what is unsettled, then deletes the exclusive queues. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const consumer of this.#consumers.values()) this.cancel(consumer);
    for (const consumer of this.#cancelled) consumer.giveBack();
    this.#cancelled.clear();
    for (const consumer of this.#replyConsumers) this.cancelReplies(consumer);
    for (const holder of this.#holders.values()) {
      holder.cancelled = true;
      holder.giveBack();
    }
    this.#vhost.deleteQueuesOf(this);
    this.#onClose(this);
  }

  #inExclusiveUse(queueName: string): Error {
    return channelError(
      'ACCESS_REFUSED',
      `queue '${queueName}' in vhost '${this.#vhost.name}' in exclusive use`,
    );
  }

  #notForGet(queueName: string): Error {
    return channelError(
      'RESOURCE_LOCKED',
      `cannot obtain access to locked queue '${queueName}' in vhost '${this.#vhost.name}'. basic.get operations are not supported by quorum queues with single active consumer`,
    );
  }

  #assertOpen(): void {
    if (this.#closed) throw new BrokerError('CLOSED', 'The connection to the broker is closed.');
  }
}

const nothing = (): void => {};

function queueIsFull({ exchange, routingKey }: Message): BrokerError {
  const what = `A queue that '${exchange}' leads to for '${routingKey}' is full.`;
  return new BrokerError('REJECTED', what, { cure: 'Publish again when its consumers have caught up.' });
}

function unreadable(queueName: string, cause: unknown): BrokerError {
  if (cause instanceof BrokerError) return cause;
  const what = `The next message of queue '${queueName}' can't be read (${messageOf(cause)}).`;
  return new BrokerError('STORE_FAILED', what, { cause });
}

function newHolder(queue: Queue, noAck: boolean): Consumer {
  const init = { tag: '', prefetchCount: 0, exclusive: false, onDelivery: nothing, onCancel: nothing };
  return new Consumer(queue, { ...init, noAck });
}
