import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Broker, type Connection, ManualClock } from '@nestmq/broker';
import { type BrokerLease, type Duration, leaseBroker, type QueueOptions } from '@nestmq/transport';
import { pendingIn, stateOf, timeoutOf, untilIdle, type WaitOptions } from './idle.js';
import { received, type ReceivedMessage } from './received.js';
import { advance } from './test-clock.js';

export interface TestBrokerOptions {
  /** Accepts AMQP clients on a free port of this machine: see {@link TestBroker.amqpUrl}. @default false */
  readonly listen?: boolean;
  /** `manual`: time stands still until {@link TestBroker.advance}. @default 'system' */
  readonly clock?: 'system' | 'manual';
}

/**
 * The real engine in memory, for the tests of an application: give its `queueOptions` to `QueueModule`, and nothing outside
 * the process is needed. Each one is apart from all others. What is in it outlives the application, so that a test can
 * close one and start the next.
 */
export class TestBroker {
  readonly #lease: BrokerLease;
  readonly #clock: ManualClock | undefined;
  #connection: Connection;
  #stopping: Promise<void> | undefined;

  private constructor(
    /** For `QueueModule.forRoot({ url })`. With a manual clock give it {@link queueOptions}: the application needs the clock too. */
    readonly url: string,
    lease: BrokerLease,
    clock: ManualClock | undefined,
  ) {
    this.#lease = lease;
    this.#clock = clock;
    this.#connection = lease.broker.connect();
  }

  static async start({ listen = false, clock = 'system' }: TestBrokerOptions = {}): Promise<TestBroker> {
    const memory = `test-${randomUUID()}`;
    const manual = clock === 'manual' ? new ManualClock() : undefined;
    const lease = await leaseBroker(
      { memory },
      { ...(manual === undefined ? {} : { clock: manual }), ...(listen ? { listen: { port: 0 } } : {}) },
    );
    return new TestBroker(`memory:${memory}`, lease, manual);
  }

  /** For `QueueModule.forRoot({ ...broker.queueOptions })`: where messages live, and whose time it is. */
  get queueOptions(): Pick<QueueOptions, 'url' | 'broker'> {
    return { url: this.url, ...(this.#clock === undefined ? {} : { broker: { clock: this.#clock } }) };
  }

  /** Where any AMQP 0-9-1 client connects, as guest. Throws when the broker was started without `listen`. */
  get amqpUrl(): string {
    if (this.#lease.port === undefined) {
      throw new Error('This TestBroker does not listen. Start it with TestBroker.start({ listen: true }).');
    }
    return `amqp://guest:guest@127.0.0.1:${this.#lease.port}`;
  }

  /** The engine, for what is not here. */
  get engine(): Broker {
    return this.#lease.broker;
  }

  /** Whether time stands still until {@link advance}. */
  get isManual(): boolean {
    return this.#clock !== undefined;
  }

  /** By the broker's clock, in milliseconds since the epoch. */
  now(): number {
    return this.#clock?.now() ?? Date.now();
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

  // ---------------------------------------------------------------- time and rest

  /**
   * Moves a manual clock, as if the time had passed: what expires, is delayed, tried again or scheduled, and heartbeats of
   * AMQP connections. It moves from one timer to the next, and lets what each has begun come to rest; resolves when all has.
   * What a handler waits for outside of this process is not waited for: see {@link idle}. Rejects when the clock is the system's.
   */
  async advance(by: Duration): Promise<void> {
    if (this.#clock === undefined) {
      throw new Error(
        "The clock is the system's. Start the broker with TestBroker.start({ clock: 'manual' }) to move its time.",
      );
    }
    await advance(this.#clock, by, () => stateOf(this.engine));
  }

  /**
   * Resolves when no message is on its way: none ready in a queue with a consumer, none unsettled, none delayed. Rejects when
   * it takes longer than the timeout; and at once when all that is left is delayed, and the clock is manual.
   */
  async idle(options: WaitOptions = {}): Promise<void> {
    await untilIdle(() => pendingIn(this.engine), {
      timeoutMs: timeoutOf(options),
      isStuck: this.isManual,
      describe: () => '',
    });
  }

  // ---------------------------------------------------------------- the end

  /**
   * As new, at the same address: connections are closed, AMQP clients are told so; queues, exchanges, bindings and messages
   * are gone. Close applications on it before: theirs are closed as well. Users, policies and the time stay.
   */
  reset(): void {
    this.engine.clear();
    this.#connection = this.engine.connect();
  }

  /**
   * Lets go of the engine; with the last application on it closed as well, nothing is left. AMQP clients are told, and are
   * given two seconds to answer. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#connection.close();
    const state = { released: false };
    const releasing = this.#lease.release().finally(() => {
      state.released = true;
    });
    // Two seconds must come to an end, also by a clock that nobody moves any more.
    const giveUpAt = performance.now() + CLIENTS_ANSWER_WITHIN_MS;
    while (this.#clock !== undefined && !state.released) {
      await nextTurn();
      if (performance.now() > giveUpAt) this.#clock.advance(CLIENTS_ANSWER_WITHIN_MS);
    }
    await releasing;
  }
}

/** As long as a server waits for its clients. Milliseconds. */
const CLIENTS_ANSWER_WITHIN_MS = 2000;
