import type { FieldTable, Message } from '@nestmq/broker';

/**
 * One message handed to this service. It is settled once; later calls do nothing.
 *
 * @publicApi
 */
export interface LinkDelivery {
  readonly message: Message;
  /** It may have been delivered before. */
  readonly redelivered: boolean;
  /** How often it was handed out before and not done with, as far as the broker has counted; undefined over AMQP. */
  readonly deliveryCount?: number;
  /** Also true when its connection is lost: the broker hands it out anew. */
  readonly settled: boolean;
  /** The message is done with. */
  ack(): void;
  /** Back to its original place. `failed` counts toward the queue's delivery limit; others may count too. */
  requeue(options: { readonly failed: boolean }): void;
}

/**
 * How a consumer gets its messages.
 *
 * @publicApi
 */
export interface ConsumeOptions {
  /** Deliveries that may be unsettled at once; 0 is no limit. */
  readonly prefetchCount: number;
  /** Deliveries are settled as they are handed over. */
  readonly noAck: boolean;
  /**
   * A consumer that gives up what has a higher `deliveryCount` has it counted when a process dies with a message in hand: what was
   * found at opening is handed over once that is durably counted. Over AMQP the broker counts, as the queue's arguments say.
   * @default what was in hand is not counted
   */
  readonly deliveryLimit?: number;
  /** The only consumer of the queue. @default false */
  readonly exclusive?: boolean;
  /** Called for each message; must not throw. */
  readonly onDelivery: (delivery: LinkDelivery) => void;
  /**
   * The queue was deleted under the consumer, or may not be consumed any more. Called at once, or within half a minute where
   * the broker may forget to tell.
   */
  readonly onCancel: () => void;
  /** The connection was lost with this delivery unsettled: it is settled now, and comes again. @default nothing is done */
  readonly onLost?: (delivery: LinkDelivery) => void;
}

/**
 * A consumer that was started.
 *
 * @publicApi
 */
export interface Subscription {
  /** Stops deliveries; what was delivered can still be settled. Idempotent. */
  cancel(): void;
  /**
   * Stops deliveries, and gives back all that is unsettled before another consumer gets any: what comes next comes in
   * order. Idempotent; after {@link Subscription.cancel} it does nothing.
   */
  giveUp(): void;
}

/**
 * Where answers come in.
 *
 * @publicApi
 */
export interface ReplySubscription {
  /** What a request names as `replyTo`. It changes when the link reconnects. */
  readonly address: string;
  /** No answers come any more. Idempotent. */
  cancel(): void;
}

/**
 * What happens to who waits for answers.
 *
 * @publicApi
 */
export interface ReplyOptions {
  /** Called for each answer; must not throw. */
  readonly onReply: (message: Message) => void;
  /** The connection was lost: answers to what was asked before do not come any more. */
  readonly onLost: (error: Error) => void;
}

/**
 * Called once. `error` is NoHandlerException when a mandatory message had nowhere to go. `unroutable`: it went nowhere,
 * which is no error since it was not mandatory.
 *
 * @publicApi
 */
export type PublishCallback = (error?: Error, unroutable?: boolean) => void;

/**
 * How a message is published.
 *
 * @publicApi
 */
export interface PublishOptions {
  /** A message that goes nowhere is an error: `done` is called with NoHandlerException. @default false */
  readonly mandatory?: boolean;
  /** It is a part of settling a delivery (a reply, a dead letter): it goes on while publishers wait. @default false */
  readonly settles?: boolean;
  /**
   * The message comes to its queues this much later, or a little earlier where the broker waits in steps: its header
   * `x-nestmq-due-at` then tells who gets it how much is left. Milliseconds. @default 0
   */
  readonly delayMs?: number;
  /**
   * The broker gives the message up when no consumer has got it by then: the link tells it what is left, as the message's
   * `expiration`. One that has waited in the link until then is not sent any more: `done` is called with
   * QueueUnavailableException. Not together with a delay. Milliseconds since the epoch, by the clock of this process.
   * @default never
   */
  readonly expiresAt?: number;
}

/**
 * What a delivery is settled by, see {@link Link.forward}.
 *
 * @publicApi
 */
export interface ForwardedMessage extends Omit<Message, 'body'> {
  /** @default the delivery's */
  readonly body?: Buffer;
  /** As in {@link PublishOptions}. @default 0 */
  readonly delayMs?: number;
}

/**
 * How a queue is declared; all are durable.
 *
 * @publicApi
 */
export interface QueueDeclaration {
  /**
   * Where what the broker itself gives up goes (a delivery limit, a full queue, a TTL), kept safe; but for requests that
   * have expired, which are dropped. @default nowhere
   */
  readonly deadLetterQueue?: string;
  /** Levels of priority, 1 to 255. @default none */
  readonly maxPriority?: number;
  /** One consumer at a time, others stand by. @default false */
  readonly singleActiveConsumer?: boolean;
  /** `x-` arguments beyond those, which win over what a link would choose itself. @default none */
  readonly arguments?: FieldTable;
}

/**
 * Some facts a broker does not tell.
 *
 * @publicApi
 */
export interface LinkQueueState {
  readonly name: string;
  readonly ready: number;
  /** Delivered and not settled; undefined where the broker does not say. */
  readonly unsettled: number | undefined;
  readonly consumers: number;
}

/**
 * What may happen to a link at any time. None of them may throw.
 *
 * @publicApi
 */
export interface LinkListener {
  /** It can be used, for the first time or again. */
  onConnected(): void;
  /** It can't be used, and tries to come back by itself. */
  onDisconnected(error: Error): void;
  /** The broker takes no publishes now; undefined: it does again. */
  onBlocked(reason: string | undefined): void;
  /** It went wrong in a way that no caller is told of. */
  onError(error: Error): void;
}

/**
 * The transport's way to a broker. The same contract, whatever the URL. What needs the broker rejects with
 * QueueUnavailableException when it is away for longer than the link may wait, and what it has declared and consumes is
 * there again after a reconnection.
 *
 * @publicApi
 */
export interface Link {
  /** Why publishes wait now, if so: the broker is away or takes none. */
  readonly blocked: string | undefined;
  /** A durable topic exchange. Resolves when it is durable. */
  declareExchange(name: string): Promise<void>;
  /**
   * A durable queue. Resolves when it is durable. Rejects with TopologyDriftException when it is there with other
   * arguments: it is used as it is.
   */
  declareQueue(name: string, declaration?: QueueDeclaration): Promise<void>;
  /** A queue of this link alone, gone with it. Resolves with its name, which may change when it reconnects. */
  declareOwnQueue(): Promise<string>;
  /** Idempotent. Resolves when it is durable. The key may have AMQP's wildcards. */
  bindQueue(queue: string, exchange: string, key: string): Promise<void>;
  /** A binding that is not there is not an error. */
  unbindQueue(queue: string, exchange: string, key: string): Promise<void>;
  /** Undefined when there is no such queue. */
  queueState(queue: string): Promise<LinkQueueState | undefined>;
  /** Resolves with how many messages were removed. */
  purgeQueue(queue: string): Promise<number>;
  /** Resolves with how many ready messages went with it; 0 when there is no such queue. */
  deleteQueue(queue: string): Promise<number>;
  /** The first messages of a queue, at most `limit`, which stay in their places. */
  peek(queue: string, limit: number): Promise<readonly Message[]>;
  /** The next message, to be settled; undefined when none is ready. */
  take(queue: string): Promise<LinkDelivery | undefined>;
  /**
   * `done` is called, never before this returns, when the message is on the disk in every durable queue that it went to,
   * or when that can't be promised. While the broker blocks publishers or is away the message waits, in order; when too
   * many wait already, this throws BLOCKED or QueueUnavailableException.
   */
  publish(message: Message, done: PublishCallback, options?: PublishOptions): void;
  /** Rejects when there is no such queue, or another consumer has it to itself. */
  consume(queue: string, options: ConsumeOptions): Promise<Subscription>;
  /** Answers to requests of this link: at most once, and only while it is connected. */
  consumeReplies(options: ReplyOptions): Promise<ReplySubscription>;
  /**
   * Settles a delivery by publishing others: its body elsewhere, or news of it. Never lost: embedded brokers do all or
   * nothing of it; over a network all are confirmed first, then the delivery is acked, so that a crash between the two
   * repeats. Resolves when it is durable. Rejects, with the delivery unsettled, when a message has no place to go.
   */
  forward(delivery: LinkDelivery, messages: readonly ForwardedMessage[]): Promise<void>;
  /** Resolves when everything done before is durable. */
  flush(): Promise<void>;
  /** Gives back what is unsettled and lets go of the broker. Idempotent. */
  close(): Promise<void>;
}
