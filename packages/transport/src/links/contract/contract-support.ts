import { DELIVERY_MODE_PERSISTENT, type Message, type MessageProperties } from '@nestmq/broker';
import type {
  ConsumeOptions,
  Link,
  LinkDelivery,
  LinkListener,
  PublishOptions,
  Subscription,
} from '../link.js';

export const SILENT: LinkListener = {
  onConnected: () => {},
  onDisconnected: () => {},
  onBlocked: () => {},
  onError: () => {},
};

export function message(
  exchange: string,
  routingKey: string,
  body: string,
  properties: MessageProperties = {},
): Message {
  return {
    exchange,
    routingKey,
    properties: { deliveryMode: DELIVERY_MODE_PERSISTENT, ...properties },
    body: Buffer.from(body),
  };
}

export const toQueue = (queue: string, body: string, properties?: MessageProperties): Message =>
  message('', queue, body, properties);

export interface Published {
  readonly error: Error | undefined;
  readonly unroutable: boolean | undefined;
  /** `done` was called before `publish` had returned. */
  readonly early: boolean;
}

export function publish(link: Link, what: Message, options?: PublishOptions): Promise<Published> {
  return new Promise((resolve) => {
    let early = true;
    link.publish(what, (error, unroutable) => resolve({ error, unroutable, early }), options);
    early = false;
  });
}

export async function publishAll(link: Link, queue: string, bodies: readonly string[]): Promise<void> {
  const published = await Promise.all(bodies.map((body) => publish(link, toQueue(queue, body))));
  for (const { error } of published) if (error !== undefined) throw error;
}

export const bodyOf = ({ message: { body } }: { readonly message: Message }): string => body.toString();

/** What a consumer was handed, and waiting for it. */
export class Consumed {
  readonly deliveries: LinkDelivery[] = [];
  readonly lost: LinkDelivery[] = [];
  cancelled = false;
  subscription: Subscription | undefined;
  #onChange: () => void = () => {};

  static async start(link: Link, queue: string, options: Partial<ConsumeOptions> = {}): Promise<Consumed> {
    const consumed = new Consumed();
    consumed.subscription = await link.consume(queue, {
      prefetchCount: 100,
      noAck: false,
      ...options,
      onDelivery: (delivery) => {
        consumed.deliveries.push(delivery);
        options.onDelivery?.(delivery);
        consumed.#onChange();
      },
      onCancel: () => {
        consumed.cancelled = true;
        consumed.#onChange();
      },
      onLost: (delivery) => {
        consumed.lost.push(delivery);
        consumed.#onChange();
      },
    });
    return consumed;
  }

  get bodies(): string[] {
    return this.deliveries.map(bodyOf);
  }

  at(index: number): LinkDelivery {
    const delivery = this.deliveries.at(index);
    if (delivery === undefined) throw new Error(`There is no delivery ${index}.`);
    return delivery;
  }

  /** Resolves once it is so. */
  async until(isSo: (consumed: this) => boolean): Promise<this> {
    while (!isSo(this)) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
    return this;
  }

  count(count: number): Promise<this> {
    return this.until(({ deliveries }) => deliveries.length >= count);
  }
}

/** A listener's calls, and waiting for them. */
export class Heard {
  readonly calls: string[] = [];
  #onChange: () => void = () => {};

  readonly listener: LinkListener = {
    onConnected: () => this.#add('connected'),
    onDisconnected: () => this.#add('disconnected'),
    onBlocked: (reason) => this.#add(reason === undefined ? 'unblocked' : 'blocked'),
    onError: (error) => this.#add(`error ${error.message}`),
  };

  #add(call: string): void {
    this.calls.push(call);
    this.#onChange();
  }

  /** Resolves once there were so many. */
  async until(call: string, count = 1): Promise<void> {
    while (this.calls.filter((one) => one === call).length < count) {
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }
}

/** Deliveries come when they come; that one did not is known when another one did that was published later. */
export async function settledState(link: Link, queue: string): Promise<number | undefined> {
  await link.flush();
  return (await link.queueState(queue))?.ready;
}
