import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection, Consumer, Message } from '@nestmq/broker';

/** Deliveries that a consumer may hold unsettled. */
const PREFETCH = 1000;

/** Gives `work` a directory of its own, gone afterwards. */
export async function inDirectory<R>(work: (directory: string) => Promise<R>): Promise<R> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A persistent message with a body of its own, as each message of an application has. */
export function messageTo(queue: string, bodyBytes: number): Message {
  return {
    exchange: '',
    routingKey: queue,
    properties: { deliveryMode: 2 },
    body: Buffer.allocUnsafe(bodyBytes).fill('x'),
  };
}

/** Publishes from one connection and consumes on it, so many messages at a time. */
export class Traffic {
  #onAcked: () => void = () => {};
  #underWay = 0;

  constructor(
    private readonly connection: Connection,
    private readonly inFlight: number,
  ) {}

  /** For `messageOf`: messages that were published before and are not both confirmed and acked yet. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Acks the messages of a queue as they come, and no more of them than `countMax`. */
  consume(queue: string, countMax: number = Infinity): void {
    let left = countMax;
    const consumer: Consumer = this.connection.consume(queue, {
      prefetchCount: PREFETCH,
      onDelivery: (delivery) => {
        delivery.ack();
        if (--left === 0) this.connection.cancel(consumer);
        this.#onAcked();
      },
    });
  }

  /** Resolves when `count` messages are published and confirmed. */
  publish(count: number, messageOf: (at: number) => Message): Promise<void> {
    return new Promise((resolve, reject) => {
      let sent = 0;
      let confirmed = 0;
      const fill = (): void => {
        while (sent < count && sent - confirmed < this.inFlight)
          this.connection.publish(messageOf(sent++), onConfirm);
      };
      const onConfirm = (error?: Error): void => {
        if (error !== undefined) return reject(error);
        confirmed++;
        return confirmed === count ? resolve() : fill();
      };
      fill();
    });
  }

  /** Resolves when so many deliveries have been acked, and the acks are durable. */
  async acked(count: number): Promise<void> {
    await new Promise<void>((resolve) => {
      let left = count;
      this.#onAcked = () => {
        if (--left === 0) resolve();
      };
    });
    await this.connection.durable();
  }

  /**
   * Resolves when `count` messages are published and confirmed, as many deliveries have been acked, and the acks are
   * durable. A message is in flight until it is confirmed and one more delivery is acked.
   */
  async roundTrips(count: number, messageOf: (at: number) => Message): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let sent = 0;
      let confirmed = 0;
      let acked = 0;
      const next = (): void => {
        const done = Math.min(confirmed, acked);
        if (done === count) return resolve();
        for (; sent < count && sent - done < this.inFlight; sent++) {
          this.#underWay = sent - done;
          this.connection.publish(messageOf(sent), onConfirm);
        }
        return undefined;
      };
      const onConfirm = (error?: Error): void => {
        if (error !== undefined) return reject(error);
        confirmed++;
        return next();
      };
      this.#onAcked = () => {
        acked++;
        next();
      };
      next();
    });
    await this.connection.durable();
  }
}
