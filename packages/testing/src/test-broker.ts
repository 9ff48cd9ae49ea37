import { randomUUID } from 'node:crypto';
import type { Connection, Message } from '@nestmq/broker';
import { type BrokerLease, leaseBroker } from '@nestmq/transport';

export interface TestBrokerOptions {
  /** Accepts AMQP clients on a free port of this machine: see {@link TestBroker.amqpUrl}. @default false */
  readonly listen?: boolean;
}

/** A message as a test wants to see it. */
export interface ReceivedMessage {
  /** The routing key. */
  readonly pattern: string;
  /** The body, parsed as JSON; the text itself where it is none. */
  readonly data: unknown;
  readonly message: Message;
}

/**
 * The real engine in memory, for the tests of an application: give its `url` to `QueueModule`, and nothing outside
 * the process is needed. Each one is apart from all others. What is in it outlives the application, so that a test can
 * close one and start the next.
 */
export class TestBroker {
  readonly #lease: BrokerLease;
  readonly #connection: Connection;

  private constructor(
    /** For `QueueModule.forRoot({ url })`. */
    readonly url: string,
    lease: BrokerLease,
  ) {
    this.#lease = lease;
    this.#connection = lease.broker.connect();
  }

  static async start({ listen = false }: TestBrokerOptions = {}): Promise<TestBroker> {
    const memory = `test-${randomUUID()}`;
    const lease = await leaseBroker({ memory }, listen ? { listen: { port: 0 } } : {});
    return new TestBroker(`memory:${memory}`, lease);
  }

  /** Where any AMQP 0-9-1 client connects, as guest. Throws when the broker was started without `listen`. */
  get amqpUrl(): string {
    if (this.#lease.port === undefined) {
      throw new Error('This TestBroker does not listen. Start it with TestBroker.start({ listen: true }).');
    }
    return `amqp://guest:guest@127.0.0.1:${this.#lease.port}`;
  }

  /** Messages that wait in a queue. Throws NOT_FOUND when there is no such queue. */
  messageCount(queue: string): number {
    return this.#connection.checkQueue(queue).messageCount;
  }

  /**
   * Takes `count` messages out of a queue, in order, waiting for those that are still to come. Use it for queues that
   * no handler consumes, such as the dead letters in `QUEUE.dead`.
   */
  take(queue: string, count: number): Promise<ReceivedMessage[]> {
    const taken: ReceivedMessage[] = [];
    if (count === 0) return Promise.resolve(taken);
    return new Promise((resolve) => {
      const consumer = this.#connection.consume(queue, {
        prefetchCount: 1,
        onDelivery: (delivery) => {
          taken.push(received(delivery.message));
          // Before the ack: with it comes the next message.
          if (taken.length === count) this.#connection.cancel(consumer);
          delivery.ack();
          if (taken.length === count) resolve(taken);
        },
      });
    });
  }

  /** Lets go of the engine; with the last application on it closed as well, nothing is left. Idempotent. */
  async stop(): Promise<void> {
    this.#connection.close();
    await this.#lease.release();
  }
}

function received(message: Message): ReceivedMessage {
  const text = message.body.toString('utf8');
  return { pattern: message.routingKey, data: parsed(text), message };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
