import { Logger } from '@nestjs/common';
import { BrokerError, type Clock, type FieldTable, type Message } from '@nestmq/broker';
import { QueueUnavailableException } from '../queue.exceptions.js';
import { AmqpConnector } from './amqp-connector.js';
import { AmqpConsumer } from './amqp-consumer.js';
import { AmqpDelays } from './amqp-delays.js';
import { AmqpDelivery, UnsettledDeliveries } from './amqp-delivery.js';
import { amqpError, NOT_FOUND } from './amqp-errors.js';
import { messageFrom } from './amqp-message.js';
import type { NormalisedAmqpOptions } from './amqp-options.js';
import { AmqpPublisher } from './amqp-publisher.js';
import { AmqpQueueWatch } from './amqp-queue-watch.js';
import { AmqpReplies } from './amqp-replies.js';
import { AmqpSession } from './amqp-session.js';
import { AmqpTopology, delayTopologyOf, onChannel } from './amqp-topology.js';
import { SessionWaiters } from './session-waiters.js';
import { assertForwarded } from './forwarding.js';
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
import { lintDeclarations } from './link-lint.js';
import { loadAmqplib } from './load-amqplib.js';
import { amqpArgumentsOf } from './queue-arguments.js';
import { driftOf } from './topology-drift.js';

export interface AmqpLinkInit {
  readonly options: NormalisedAmqpOptions;
  readonly listener: LinkListener;
  readonly clock: Clock;
  /** For the pauses between tries to reconnect; from 0 to 1. @default Math.random */
  readonly random?: () => number;
  /** Opening gives up when it aborts. @default it goes on */
  readonly signal?: AbortSignal | undefined;
}

/**
 * {@link Link} to RabbitMQ, or to another process's broker. It reconnects by itself, to one host after the other, declares
 * and consumes again what it did, and sends again what was not confirmed. What is delayed waits in steps.
 */
export class AmqpLink implements Link {
  readonly #init: AmqpLinkInit;
  readonly #connector: AmqpConnector;
  readonly #topology: AmqpTopology;
  readonly #publisher: AmqpPublisher;
  readonly #delays: AmqpDelays;
  readonly #consumers = new Set<AmqpConsumer>();
  readonly #queues: AmqpQueueWatch;
  readonly #replies = new Set<AmqpReplies>();
  readonly #sessions: SessionWaiters;
  readonly #logger = new Logger('AmqpLink');
  readonly #warned = new Set<string>();
  /** Of which it is not known yet whether it can be used. */
  #settingUp: AmqpSession | undefined;
  #closing: Promise<void> | undefined;

  private constructor(init: AmqpLinkInit, connector: AmqpConnector) {
    const { options, listener, clock } = init;
    this.#init = init;
    this.#connector = connector;
    this.#topology = new AmqpTopology(options.queueType);
    this.#sessions = new SessionWaiters(clock, options.publishTimeoutMs);
    this.#publisher = new AmqpPublisher({ options, clock, onError: (error) => listener.onError(error) });
    this.#delays = new AmqpDelays({
      topology: delayTopologyOf((work) => this.#run(work)),
      publish: (message, done, how) => this.#publisher.publish(message, done, how),
      clock,
      queueType: options.queueType,
      maxWaiting: options.maxWaiting,
    });
    this.#queues = new AmqpQueueWatch({
      clock,
      consumers: this.#consumers,
      isThere: async (queue) => (await this.queueState(queue)) !== undefined,
    });
  }

  /** Rejects as AmqpConnector.connect does, and with QueueOptionsException where amqplib is not installed. */
  static async open(init: AmqpLinkInit): Promise<AmqpLink> {
    const { options, clock, random = Math.random, signal } = init;
    const amqplib = await loadAmqplib();
    const open = (endpoint: NormalisedAmqpOptions['endpoints'][number]): Promise<AmqpSession> =>
      AmqpSession.open(amqplib, endpoint, options, clock);
    const connector = new AmqpConnector({ options, clock, random, open });
    const link = new AmqpLink(init, connector);
    const session = await connector.connect(signal);
    const giveUp = (): unknown => link.close();
    signal?.addEventListener('abort', giveUp);
    try {
      await link.#use(session);
      return link;
    } catch (error) {
      await link.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  async #use(session: AmqpSession): Promise<void> {
    this.#settingUp = session;
    try {
      await this.#setUp(session);
    } finally {
      this.#settingUp = undefined;
    }
    this.#sessions.set(session);
    this.#init.listener.onConnected();
  }

  async #setUp(session: AmqpSession): Promise<void> {
    session.listen({
      onLost: (error) => this.#onLost(session, error),
      onBlocked: (reason) => this.#onBlocked(reason),
    });
    const { listener } = this.#init;
    await this.#topology.restore(session, (error) => {
      // A difference was told when it was declared first.
      if (driftOf('queue', '', error) === undefined) listener.onError(error);
    });
    await this.#publisher.attach(session);
    for (const replies of this.#replies) await replies.subscribe(session);
    for (const consumer of this.#consumers) await consumer.resubscribe(session);
    if (session.ended) throw new QueueUnavailableException('The connection was lost while it was set up.');
  }

  #onLost(session: AmqpSession, error: Error): void {
    this.#publisher.detach(error);
    // One that is being set up is lost to who does that.
    if (this.#sessions.current !== session) return;
    this.#sessions.unset(error);
    for (const replies of this.#replies) replies.onLost(error);
    this.#init.listener.onDisconnected(error);
    void this.#reconnect();
  }

  async #reconnect(): Promise<void> {
    while (this.#closing === undefined) {
      let session: AmqpSession;
      try {
        session = await this.#connector.reconnect((error) => this.#onHeldUp(error));
      } catch {
        // It is closed, and who waits has been told.
        return undefined;
      }
      try {
        return await this.#use(session);
      } catch (error) {
        await session.close();
        this.#publisher.detach(error as Error);
      }
    }
  }

  /** Why it is still away is another thing than why it went. */
  #onHeldUp(error: Error): void {
    this.#sessions.unset(error);
    this.#publisher.detach(error);
    this.#init.listener.onError(error);
  }

  #onBlocked(reason: string | undefined): void {
    this.#publisher.block(reason);
    this.#init.listener.onBlocked(reason);
  }

  get blocked(): string | undefined {
    return this.#publisher.blocked;
  }

  /** Does it again in the next session when it was cut off by the end of one. */
  async #run<T>(work: (session: AmqpSession) => Promise<T>): Promise<T> {
    const deadline = this.#sessions.deadline();
    for (;;) {
      const session = await this.#sessions.get(deadline);
      try {
        return await work(session);
      } catch (error) {
        if (!session.ended) throw error;
      }
    }
  }

  async declareExchange(name: string): Promise<void> {
    await this.#run((session) => orDrift('exchange', name, this.#topology.declareExchange(session, name)));
  }

  async declareQueue(name: string, declaration: QueueDeclaration = {}): Promise<void> {
    const args = amqpArgumentsOf(declaration, this.#init.options.queueType);
    this.#lint(name, args);
    await this.#run((session) => orDrift('queue', name, this.#topology.declareQueue(session, name, args)));
  }

  /** Warns once of what newer brokers refuse. */
  #lint(name: string, args: FieldTable): void {
    for (const sentence of lintDeclarations({ queues: [{ name, arguments: args }] })) {
      if (this.#warned.has(sentence)) continue;
      this.#warned.add(sentence);
      this.#logger.warn(`RabbitMQ 4.3: ${sentence}`);
    }
  }

  declareOwnQueue(): Promise<string> {
    return this.#run((session) => this.#topology.declareOwnQueue(session));
  }

  bindQueue(queue: string, exchange: string, key: string): Promise<void> {
    return this.#run((session) => this.#topology.bind(session, queue, exchange, key));
  }

  unbindQueue(queue: string, exchange: string, key: string): Promise<void> {
    return this.#run((session) => this.#topology.unbind(session, queue, exchange, key));
  }

  async queueState(queue: string): Promise<LinkQueueState | undefined> {
    const name = this.#topology.nameOf(queue);
    try {
      const state = await this.#run((session) => onChannel(session, (channel) => channel.checkQueue(name)));
      return { name: queue, ready: state.messageCount, unsettled: undefined, consumers: state.consumerCount };
    } catch (error) {
      if (amqpError(error).code === NOT_FOUND) return undefined;
      throw error;
    }
  }

  async purgeQueue(queue: string): Promise<number> {
    const name = this.#topology.nameOf(queue);
    const purged = await this.#run((session) => onChannel(session, (channel) => channel.purgeQueue(name)));
    return purged.messageCount;
  }

  async deleteQueue(queue: string): Promise<number> {
    const name = this.#topology.nameOf(queue);
    this.#topology.forgetQueue(queue);
    const deleted = await this.#run((session) => onChannel(session, (channel) => channel.deleteQueue(name)));
    this.#queues.deleted(queue);
    return deleted.messageCount;
  }

  peek(queue: string, limit: number): Promise<readonly Message[]> {
    const name = this.#topology.nameOf(queue);
    return this.#run((session) =>
      onChannel(session, async (channel) => {
        const seen: Message[] = [];
        while (seen.length < limit) {
          const got = await channel.get(name);
          if (got === false) break;
          seen.push(messageFrom(got));
        }
        // RabbitMQ 4.3 counts no attempt for that, as it would for closing the channel.
        if (seen.length > 0) channel.nackAll(true);
        return seen;
      }),
    );
  }

  take(queue: string): Promise<LinkDelivery | undefined> {
    const name = this.#topology.nameOf(queue);
    return this.#run(async (session) => {
      const channel = await session.openChannel();
      const unsettled = new UnsettledDeliveries(channel);
      channel.on('error', () => {});
      channel.on('close', () => unsettled.lose());
      try {
        const got = await channel.get(name);
        const delivery = got === false ? undefined : new AmqpDelivery(got, unsettled);
        unsettled.whenEmpty(() => void channel.close().catch(() => {}));
        return delivery;
      } catch (error) {
        throw amqpError(error);
      }
    });
  }

  publish(message: Message, done: PublishCallback, options: PublishOptions = {}): void {
    this.#publisher.assertSize(message.body);
    const { delayMs = 0 } = options;
    if (delayMs > 0) this.#delays.publish(message, delayMs, done, options);
    else this.#publisher.publish(message, done, options);
  }

  async consume(queue: string, options: ConsumeOptions): Promise<Subscription> {
    const consumer = new AmqpConsumer({
      queue,
      nameOf: (given) => this.#topology.nameOf(given),
      options,
      clock: this.#init.clock,
      onError: (error) => this.#init.listener.onError(error),
      onEnd: (ended) => this.#consumers.delete(ended),
    });
    await this.#run((session) => consumer.subscribe(session));
    this.#consumers.add(consumer);
    this.#queues.start();
    return consumer;
  }

  async consumeReplies(options: ReplyOptions): Promise<ReplySubscription> {
    const replies = new AmqpReplies(options, (ended) => this.#replies.delete(ended));
    await this.#run((session) => replies.subscribe(session));
    this.#replies.add(replies);
    return replies;
  }

  async forward(delivery: LinkDelivery, messages: readonly ForwardedMessage[]): Promise<void> {
    if (delivery.settled) return;
    const { body } = delivery.message;
    await Promise.all(messages.map((message) => this.#forward({ body, ...message })));
    delivery.ack();
  }

  #forward({ delayMs = 0, ...message }: ForwardedMessage & Message): Promise<void> {
    return new Promise((resolve, reject) => {
      const done: PublishCallback = (error, unroutable) => {
        try {
          if (error instanceof BrokerError && error.code === 'REJECTED') assertForwarded(message, 'rejected');
          if (unroutable === true || amqpErrorCode(error) === NOT_FOUND)
            assertForwarded(message, 'unroutable');
          if (error === undefined) resolve();
          else reject(error);
        } catch (refused) {
          reject(refused);
        }
      };
      const how = { settles: true, once: true };
      this.#publisher.assertSize(message.body);
      if (delayMs > 0) this.#delays.publish(message, delayMs, done, how);
      else this.#publisher.publish(message, done, how);
    });
  }

  async flush(): Promise<void> {
    await this.#publisher.settled();
    await Promise.all([...this.#consumers].map((consumer) => consumer.flush()));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = new BrokerError('CLOSED', 'The link is closed.', {
      cure: 'Publish again when it is open; what was not confirmed may have been stored or not.',
    });
    const session = this.#sessions.current ?? this.#settingUp;
    this.#connector.close();
    this.#queues.end();
    this.#sessions.end(closed);
    this.#publisher.end(closed);
    await session?.close();
  }
}

function amqpErrorCode(error: unknown): number | undefined {
  return error === undefined ? undefined : amqpError(error).code;
}

/** A difference to what is there is told as what it is. */
async function orDrift(kind: 'queue' | 'exchange', name: string, declaring: Promise<void>): Promise<void> {
  try {
    await declaring;
  } catch (error) {
    throw driftOf(kind, name, error) ?? error;
  }
}
