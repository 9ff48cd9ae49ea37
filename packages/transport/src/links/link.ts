import type { Message } from '@nestmq/broker';

/** One message handed to this service. It is settled once; later calls do nothing. */
export interface LinkDelivery {
  readonly message: Message;
  /** It may have been delivered before. */
  readonly redelivered: boolean;
  /** How often it was given back as failed. */
  readonly deliveryCount: number;
  readonly settled: boolean;
  ack(): void;
  /** Back to its original place. `failed` counts it as an attempt. */
  requeue(options: { readonly failed: boolean }): void;
}

export interface ConsumeOptions {
  /** Deliveries that may be unsettled at once; 0 is no limit. */
  readonly prefetchCount: number;
  /** Deliveries are settled as they are handed over. */
  readonly noAck: boolean;
  readonly onDelivery: (delivery: LinkDelivery) => void;
  /** The queue was deleted under the consumer. */
  readonly onCancel: () => void;
}

export interface Subscription {
  /** Stops deliveries; what was delivered can still be settled. Idempotent. */
  cancel(): void;
}

/** Called once. `error` is NoHandlerException when a mandatory message had nowhere to go. */
export type PublishCallback = (error?: Error) => void;

export interface PublishOptions {
  /** A message that goes nowhere is an error: `done` is called with NoHandlerException. @default false */
  readonly mandatory?: boolean;
  /** It is a part of settling a delivery (a reply, a dead letter): it goes on while publishers wait. @default false */
  readonly settles?: boolean;
}

/** The transport's way to a broker. The same contract, whatever the URL. */
export interface Link {
  /** A durable topic exchange. Resolves when it is durable. */
  declareExchange(name: string): Promise<void>;
  /** A durable queue. Resolves when it is durable. */
  declareQueue(name: string): Promise<void>;
  /** A queue of this link alone, gone with it. Resolves with its name. */
  declareReplyQueue(): Promise<string>;
  bindQueue(queue: string, exchange: string, key: string): Promise<void>;
  /**
   * `done` is called when the message is on the disk in every durable queue that it went to. A message that goes
   * nowhere is done at once, with `'unroutable'` returned. While the broker blocks publishers the message waits, in
   * order, with `'waiting'` returned; when too many wait already, it throws BLOCKED.
   */
  publish(
    message: Message,
    done: PublishCallback,
    options?: PublishOptions,
  ): 'routed' | 'unroutable' | 'waiting';
  consume(queue: string, options: ConsumeOptions): Promise<Subscription>;
  /**
   * Settles a delivery by publishing its body elsewhere: never lost, never in both places. Rejects, with the delivery
   * unsettled, when there is no such place.
   */
  forward(delivery: LinkDelivery, envelope: Omit<Message, 'body'>): Promise<void>;
  /** Resolves when everything done before is durable. */
  flush(): Promise<void>;
  /** Gives back what is unsettled and lets go of the broker. Idempotent. */
  close(): Promise<void>;
}
