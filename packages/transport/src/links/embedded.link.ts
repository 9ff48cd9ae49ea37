import {
  BrokerError,
  type Clock,
  type Connection,
  type Consumer,
  type Delivery,
  type FieldTable,
  type Message,
  type ReplyConsumer,
  systemClock,
} from '@nestmq/broker';
import { delayedExchangeOf } from '../envelope.js';
import { NoHandlerException } from '../queue.exceptions.js';
import { CountedDeliveries } from './counted-deliveries.js';
import type { BrokerLease } from './embedded-brokers.js';
import { expiredInLink, expiring, isExpired } from './expiring.js';
import { assertForwarded } from './forwarding.js';
import { declareGivenUp, LETTERS_EXCHANGE } from './given-up.js';
import type {
  ConsumeOptions,
  ForwardedMessage,
  Link,
  LinkDelivery,
  LinkListener,
  LinkQueueState,
  PublishCallback,
  PublishOptions,
  QueueDeclaration,
  ReplyOptions,
  ReplySubscription,
  Subscription,
} from './link.js';
import { argumentsOf } from './queue-arguments.js';
import { suspectsOf } from './suspects.js';
import { driftOf } from './topology-drift.js';

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

/** {@link Link} to a broker in this process. What is delayed is held by exchanges of its own, exactly as long as asked. */
export class EmbeddedLink implements Link {
  readonly #lease: BrokerLease;
  readonly #connection: Connection;
  readonly #listener: LinkListener;
  readonly #clock: Clock;
  /** Where dead letters of the broker go. */
  readonly #letterQueues = new Set<string>();
  readonly #waiting: WaitingPublish[] = [];
  readonly #replies = new Set<ReplyConsumer>();
  #closing: Promise<void> | undefined;

  constructor(lease: BrokerLease, listener: LinkListener, clock: Clock = systemClock) {
    this.#lease = lease;
    this.#listener = listener;
    this.#clock = clock;
    this.#connection = lease.broker.connect();
    listener.onConnected();
  }

  get blocked(): string | undefined {
    return this.#connection.blocked;
  }

  async declareExchange(name: string): Promise<void> {
    const delayed = delayedExchangeOf(name);
    await this.#connection.declareExchange(name, { type: 'topic' });
    await this.#declareDelayed(delayed, 'topic');
    await this.#connection.bindExchange({ source: delayed, destination: name, key: '#' });
  }

  async #declareDelayed(name: string, type: 'topic' | 'direct'): Promise<void> {
    await this.#connection.declareExchange(name, {
      type: 'x-delayed-message',
      arguments: { 'x-delayed-type': type },
    });
  }

  async declareQueue(name: string, declaration: QueueDeclaration = {}): Promise<void> {
    const all = needed(declaration);
    let drift: Error | undefined;
    if (all.deadLetterQueue !== undefined) await this.#keepLettersIn(all.deadLetterQueue);
    try {
      await this.#connection.declareQueue(name, { arguments: argumentsOf(all) });
    } catch (error) {
      drift = driftOf('queue', name, error);
      if (drift === undefined) throw error;
    }
    const delayed = delayedExchangeOf('');
    await this.#declareDelayed(delayed, 'direct');
    await this.#connection.bindQueue(name, delayed, name);
    if (this.#letterQueues.has(name)) await this.#bindLetters(name);
    if (drift !== undefined) throw drift;
  }

  /** The queue may be declared later. */
  async #keepLettersIn(queue: string): Promise<void> {
    const connection = this.#connection;
    await declareGivenUp({
      declareExchange: (name, type, args) => connection.declareExchange(name, { type, arguments: args }),
      declareSink: (name) => connection.declareQueue(name, { arguments: { 'x-message-ttl': 0 } }),
      bindQueue: (name, exchange, args) => connection.bindQueue(name, exchange, '', args),
    });
    this.#letterQueues.add(queue);
    if (connection.hasQueue(queue)) await this.#bindLetters(queue);
  }

  #bindLetters(queue: string): Promise<void> {
    return this.#connection.bindQueue(queue, LETTERS_EXCHANGE, queue);
  }

  async declareOwnQueue(): Promise<string> {
    return (await this.#connection.declareQueue('', { exclusive: true })).name;
  }

  bindQueue(queue: string, exchange: string, key: string): Promise<void> {
    return this.#connection.bindQueue(queue, exchange, key);
  }

  unbindQueue(queue: string, exchange: string, key: string): Promise<void> {
    return this.#connection.unbindQueue(queue, exchange, key);
  }

  async queueState(queue: string): Promise<LinkQueueState | undefined> {
    if (!this.#connection.hasQueue(queue)) return undefined;
    const { name, messageCount, unsettledCount, consumerCount } = this.#connection.checkQueue(queue);
    return { name, ready: messageCount, unsettled: unsettledCount, consumers: consumerCount };
  }

  purgeQueue(queue: string): Promise<number> {
    return this.#connection.purgeQueue(queue);
  }

  async deleteQueue(queue: string): Promise<number> {
    return this.#connection.hasQueue(queue) ? this.#connection.deleteQueue(queue) : 0;
  }

  async peek(queue: string, limit: number): Promise<readonly Message[]> {
    const seen: Delivery[] = [];
    try {
      while (seen.length < limit) {
        const delivery = await this.#connection.get(queue);
        if (delivery === undefined) break;
        seen.push(delivery);
      }
      return seen.map(({ message }) => message);
    } finally {
      for (const delivery of seen) delivery.requeue({ failed: false });
    }
  }

  take(queue: string): Promise<LinkDelivery | undefined> {
    return this.#connection.get(queue);
  }

  publish(message: Message, done: PublishCallback, options: PublishOptions = {}): void {
    const mustWait = this.#waiting.length > 0 || this.#connection.blocked !== undefined;
    if (mustWait && options.settles !== true) this.#wait({ message, done, options });
    else this.#publish({ message, done, options });
  }

  #publish({ message, done, options }: WaitingPublish): void {
    const settles = options.settles === true;
    const { delayMs = 0 } = options;
    let unroutable = false;
    const onDurable = (error?: Error): void => {
      if (!unroutable || error !== undefined) done(error);
      else if (options.mandatory === true) done(new NoHandlerException(message.routingKey));
      else done(undefined, true);
    };
    const whole = delayMs > 0 ? withDelay(message, delayMs) : expiring(message, options, this.#clock.now());
    const outcome = this.#connection.publish(whole, onDurable, { settles });
    unroutable = outcome === 'unroutable';
  }

  #wait(publish: WaitingPublish): void {
    if (this.#waiting.length >= WAITING_PUBLISHES_MAX) {
      const why = this.#connection.blocked ?? 'they are about to go out';
      throw new BrokerError('BLOCKED', `${WAITING_PUBLISHES_MAX} publishes wait already: ${why}.`, {
        cure: 'Publish again when the link is not blocked any more: consumers go on, and what they settle gives room.',
      });
    }
    this.#waiting.push(publish);
    if (this.#waiting.length === 1) void this.#publishWaiting();
  }

  /** Publishes what waits, in order, when the broker lets it; tells each when that can't be. */
  async #publishWaiting(): Promise<void> {
    this.#listener.onBlocked(this.#connection.blocked);
    while (this.#waiting.length > 0) {
      try {
        await this.#connection.unblocked();
        for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
          if (isExpired(next.options, this.#clock.now())) next.done(expiredInLink());
          else this.#publish(next);
          this.#waiting.shift();
        }
      } catch (error) {
        // Blocked again is not the end of it; anything else is the fate of the first.
        if (this.#connection.blocked === undefined || isClosed(error))
          this.#waiting.shift()?.done(error as Error);
      }
    }
    this.#listener.onBlocked(undefined);
  }

  async consume(queue: string, options: ConsumeOptions): Promise<Subscription> {
    const { deliveryLimit, noAck, prefetchCount, onDelivery } = options;
    if (deliveryLimit === undefined || noAck)
      return this.#subscribed(this.#connection.consume(queue, options));
    const connection = this.#connection;
    const suspects = suspectsOf(this.#lease.broker);
    const counted = new CountedDeliveries({ connection, deliveryLimit, prefetchCount, suspects, onDelivery });
    const { take, settled } = counted;
    const consumer = connection.consume(queue, { ...options, onDelivery: take, onSettled: settled });
    counted.consumer = consumer;
    return this.#subscribed(consumer, counted);
  }

  #subscribed(consumer: Consumer, counted?: CountedDeliveries): Subscription {
    const cancel = (): void => {
      this.#connection.cancel(consumer);
      counted?.giveBack();
    };
    return { cancel, giveUp: () => this.#giveUp(consumer) };
  }

  /** In one go: the queue delivers later. */
  #giveUp(consumer: Consumer): void {
    if (consumer.cancelled) return;
    this.#connection.cancel(consumer);
    consumer.giveBack();
  }

  async consumeReplies({ onReply }: ReplyOptions): Promise<ReplySubscription> {
    const consumer = this.#connection.consumeReplies({ onReply });
    this.#replies.add(consumer);
    return { address: consumer.name, cancel: () => this.#connection.cancelReplies(consumer) };
  }

  async forward(delivery: LinkDelivery, messages: readonly ForwardedMessage[]): Promise<void> {
    const [only] = messages;
    if (only !== undefined && messages.length === 1 && only.body === undefined) {
      if ((only.delayMs ?? 0) > 0) this.#assertPlace(only);
      assertForwarded(only, this.#connection.forward(delivery as Delivery, delayedIfAsked(only)));
    } else {
      for (const message of messages) this.#assertPlace(message);
      const { body } = delivery.message;
      const whole = messages.map((message) => ({ body, ...delayedIfAsked(message) }));
      this.#connection.transact(whole, [delivery as Delivery], undefined, { settles: true });
    }
    await this.flush();
  }

  /** A transaction drops what is unroutable, and so does what holds delayed messages when they are due. */
  #assertPlace(message: ForwardedMessage): void {
    if (message.exchange === '' && !this.#connection.hasQueue(message.routingKey))
      assertForwarded(message, 'unroutable');
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

/** A broker gives nothing up by itself unless arguments say so; a queue without any is the fastest. */
function needed({ deadLetterQueue, ...declaration }: QueueDeclaration): QueueDeclaration {
  const mayGiveUp = Object.keys(declaration.arguments ?? {}).length > 0 && deadLetterQueue !== undefined;
  return mayGiveUp ? { ...declaration, deadLetterQueue } : declaration;
}

/** The message under the exchange that holds it until it is time. */
function withDelay<T extends Omit<Message, 'body'>>(message: T, delayMs: number): T {
  const headers: FieldTable = {
    ...message.properties.headers,
    'x-delay': Math.min(Math.ceil(delayMs), DELAY_MS_MAX),
  };
  const exchange = delayedExchangeOf(message.exchange);
  return { ...message, exchange, properties: { ...message.properties, headers } };
}

/** As the delayed message plugin: what is due later is delayed again by who gets it. */
const DELAY_MS_MAX = 0xffff_ffff;

function delayedIfAsked({ delayMs = 0, ...message }: ForwardedMessage): Omit<ForwardedMessage, 'delayMs'> {
  return delayMs > 0 ? withDelay(message, delayMs) : message;
}
