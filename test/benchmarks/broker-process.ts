import { type Broker, type BrokerOptions, type Connection, openBroker } from '@nestmq/broker';
import { secondsOf } from './figure.js';
import { serveCommands } from './remote-process.js';
import { messageTo, Traffic } from './traffic.js';

/** A process of its own for a broker, so that its memory and its speed are its own: see remote-broker.ts. */

const IN_FLIGHT = 1000;

interface Load {
  readonly queue: string;
  readonly count: number;
  readonly bodyBytes: number;
}

let broker: Broker;
let connection: Connection;
let traffic: Traffic;

const commands = {
  /** Resolves with the seconds that opening took. */
  async open(
    options: Pick<BrokerOptions, 'directory' | 'segmentBytesMax' | 'cacheBytesMax'>,
  ): Promise<number> {
    const seconds = await secondsOf(async () => {
      broker = await openBroker(options);
    });
    connection = broker.connect();
    traffic = new Traffic(connection, IN_FLIGHT);
    return seconds;
  },

  async declare(queue: string): Promise<void> {
    await connection.declareQueue(queue);
  },

  /** Publishes with confirm, 1,000 in flight. Resolves with the seconds that it took. */
  publish({ queue, count, bodyBytes }: Load): Promise<number> {
    return secondsOf(() => traffic.publish(count, () => messageTo(queue, bodyBytes)));
  },

  /** Publishes to a queue and acks as many from it, the oldest first. Resolves with the seconds that it took. */
  roundTrips({ queue, count, bodyBytes }: Load): Promise<number> {
    traffic.consume(queue, count);
    return secondsOf(() => traffic.roundTrips(count, () => messageTo(queue, bodyBytes)));
  },

  /** Acks everything in a queue. Resolves with the seconds that it took until the acks were durable. */
  drain(queue: string): Promise<number> {
    const { messageCount } = connection.checkQueue(queue);
    return secondsOf(async () => {
      const acked = traffic.acked(messageCount);
      traffic.consume(queue);
      await acked;
    });
  },

  async purge(queue: string): Promise<void> {
    await connection.purgeQueue(queue);
  },

  async readyCount(queue: string): Promise<number> {
    return connection.checkQueue(queue).messageCount;
  },

  /** After collecting all garbage: resident bytes, and those of them that JavaScript knows of. */
  async memory(): Promise<{ rss: number; known: number }> {
    for (let i = 0; i < 3; i++) {
      globalThis.gc?.();
      await new Promise(setImmediate);
    }
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rss, known: heapUsed + external };
  },

  close(): Promise<number> {
    return secondsOf(() => broker.close());
  },
};

export type Commands = typeof commands;

serveCommands(commands);
