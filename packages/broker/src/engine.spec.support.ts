import { type Broker, openBroker } from './broker.js';
import type { Connection } from './connection.js';
import type { ConsumeOptions } from './consume-options.js';
import type { Message } from './message/message.js';
import type { Consumer } from './queue/consumer.js';
import type { Delivery } from './queue/delivery.js';

/** A broker in memory with one connection; close it when done. */
export async function engine(): Promise<{ broker: Broker; connection: Connection }> {
  const broker = await openBroker();
  return { broker, connection: broker.connect() };
}

export function to(queue: string, body: string, over: Partial<Message> = {}): Message {
  return {
    exchange: '',
    routingKey: queue,
    properties: { deliveryMode: 2 },
    body: Buffer.from(body),
    ...over,
  };
}

export function publishAll(connection: Connection, queue: string, bodies: readonly string[]): void {
  for (const body of bodies) connection.publish(to(queue, body));
}

/** Keeps what a consumer gets, and lets a test wait for it. */
export class Inbox {
  readonly deliveries: Delivery[] = [];
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly take = (delivery: Delivery): void => {
    this.deliveries.push(delivery);
    for (const one of this.#waiting) if (one.count <= this.deliveries.length) one.resolve();
    this.#waiting = this.#waiting.filter((one) => one.count > this.deliveries.length);
  };

  get bodies(): string[] {
    return this.deliveries.map(({ message }) => message.body.toString());
  }

  /** Resolves with the delivery number `count`, counted from 1. */
  async nth(count: number): Promise<Delivery> {
    if (this.deliveries.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.deliveries[count - 1] as Delivery;
  }
}

export function consumeInto(
  connection: Connection,
  queue: string,
  options: Omit<ConsumeOptions, 'onDelivery'> = {},
): { inbox: Inbox; consumer: Consumer } {
  const inbox = new Inbox();
  const consumer = connection.consume(queue, { ...options, onDelivery: inbox.take });
  return { inbox, consumer };
}

/** Resolves when the engine has nothing left to hand over from memory: each delivery takes a turn or two. */
export async function idle(): Promise<void> {
  for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
}
