import { QUEUE_OPTIONS, QUEUE_WITNESS, QueueClient, type QueueOptions, QueueServer } from '@nestmq/transport';
import type { Duration } from '@nestmq/transport';
import { type Pending, pendingIn, timeoutOf, untilIdle, type WaitOptions } from './idle.js';
import { LifeClock } from './life-clock.js';
import { Recorder } from './recorder.js';
import type { HandledMessage, PublishedMessage, SeenMessage } from './seen.js';
import { type Predicate, Sightings } from './sightings.js';
import { TestBroker } from './test-broker.js';
import type { TestBrokerOptions } from './test-broker.options.js';
import type { ModuleUnderTest, RunningApplication, TestingBuilder } from './testing-builder.js';

/** Of {@link QueueTestHarness.start}: those of its broker, and how the application is started. */
export interface HarnessOptions<
  M,
  A extends RunningApplication = RunningApplication,
> extends TestBrokerOptions {
  /**
   * Makes the application of the module and starts it, as the application itself does: for those that have HTTP as well, or
   * global pipes. @default a microservice with nothing but the QueueServer
   */
  readonly startApplication?: (module: M) => Promise<A>;
  /**
   * `amqp`: the application talks to the broker by AMQP, as to RabbitMQ, so that it has a connection to lose
   * ({@link QueueTestHarness.disconnect}); needs the package amqplib. @default in this process
   */
  readonly over?: 'amqp';
}

const ANY_PATTERN = '#';
/** Over AMQP. Milliseconds. */
const BACK_SOON = { minDelay: 10, maxDelay: 100 };

/**
 * A Nest application under test, with its messages in a {@link TestBroker} and every hop of theirs seen.
 *
 * ```ts
 * const harness = await QueueTestHarness.start(Test.createTestingModule({ imports: [AppModule] }), { clock: 'manual' });
 * await harness.emit('order.placed', { id: 7 });
 * await harness.retried('order.placed');
 * await harness.advance('5m');
 * await harness.consumed('order.placed');
 * await harness.close();
 * ```
 *
 * Where messages live is replaced, in what `QueueModule` provides; nothing else of the application. A `QueueClient` that it
 * makes of other options (in `ClientsModule`) keeps to those.
 */
export class QueueTestHarness<
  M extends ModuleUnderTest = ModuleUnderTest,
  A extends RunningApplication = RunningApplication,
> {
  readonly #recorder: Recorder;
  /** Queues in which the transport keeps messages of its own, unsettled. */
  readonly #bookkeeping = new Set<string>();
  #life: Life<M, A> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    readonly broker: TestBroker,
    private readonly begin: Begin<M, A>,
  ) {
    this.#recorder = new Recorder(() => broker.now());
  }

  /**
   * `builder`: or a function that makes one, for tests with {@link restart}. Rejects, with nothing left open, when the module
   * can't be compiled or the application can't start.
   */
  static async start<M extends ModuleUnderTest, A extends RunningApplication = RunningApplication>(
    builder: TestingBuilder<M> | (() => TestingBuilder<M>),
    { startApplication, over, ...options }: HarnessOptions<M, A> = {},
  ): Promise<QueueTestHarness<M, A>> {
    const isRemote = over === 'amqp';
    const broker = await TestBroker.start(isRemote ? { ...options, listen: true } : options);
    const begin: Begin<M, A> = { builder, isRemote, startApplication: startApplication ?? startMicroservice };
    const harness = new QueueTestHarness(broker, begin);
    try {
      await harness.#begin(typeof builder === 'function' ? builder() : builder);
    } catch (error) {
      await broker.stop();
      throw error;
    }
    return harness;
  }

  async #begin(builder: TestingBuilder<M>): Promise<void> {
    const clock = new LifeClock(this.broker.clock);
    this.#recorder.begins();
    rewire(builder, (own) => this.#rewired(own, clock));
    const module = await builder.compile();
    const app = (await this.begin.startApplication(module)) as A;
    this.#life = { module, app, clock };
  }

  /** The options of QueueModule with another home, another clock and a witness. */
  #rewired(
    { url: _url, urls: _urls, amqp: _amqp, link: _link, ...own }: QueueOptions,
    clock: LifeClock,
  ): QueueOptions {
    const { queue = 'default' } = own;
    for (const kept of ['schedule', 'inbox']) this.#bookkeeping.add(`${queue}.${kept}`);
    const home = this.begin.isRemote
      ? { url: this.broker.amqpUrl, amqp: { reconnect: BACK_SOON } }
      : { url: this.broker.url };
    return { ...own, ...home, broker: { clock }, [QUEUE_WITNESS]: this.#recorder };
  }

  get #running(): Life<M, A> {
    if (this.#life === undefined) throw new Error('The application has crashed: restart() it.');
    return this.#life;
  }

  /** The compiled testing module. Throws between {@link crash} and {@link restart}. */
  get module(): M {
    return this.#running.module;
  }

  /** What runs. Throws between {@link crash} and {@link restart}. */
  get app(): A {
    return this.#running.app;
  }

  // ---------------------------------------------------------------- messages

  /** By the application's own client. Resolves when the event is in the queue of each service that handles it. */
  emit(pattern: unknown, data: unknown): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#client.emit(pattern, data).subscribe({ complete: resolve, error: reject });
    });
  }

  /** Resolves with the first value of the answer, undefined when there is none; rejects with the error that it is. */
  send<R = unknown>(pattern: unknown, data: unknown): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#client
        .send<R>(pattern, data)
        .subscribe({ next: resolve, complete: () => resolve(undefined as R), error: reject });
    });
  }

  get #client(): QueueClient {
    return this.module.get(QueueClient, { strict: false });
  }

  // ---------------------------------------------------------------- what has happened

  /** What the application has published, by whichever client of QueueModule. */
  published(
    pattern: string = ANY_PATTERN,
    predicate: Predicate<PublishedMessage> = all,
  ): Sightings<PublishedMessage> {
    return this.#sightings('published', () => this.#recorder.published, pattern, predicate);
  }

  /** What handlers are done with, settled: events that went well, requests that were answered (`failed`: with an error). */
  consumed(
    pattern: string = ANY_PATTERN,
    predicate: Predicate<HandledMessage> = all,
  ): Sightings<HandledMessage> {
    return this.#handled('consumed', ['handled', 'failed'], pattern, predicate);
  }

  /** Attempts that failed and are followed by another. */
  retried(
    pattern: string = ANY_PATTERN,
    predicate: Predicate<HandledMessage> = all,
  ): Sightings<HandledMessage> {
    return this.#handled('retried', ['retried'], pattern, predicate);
  }

  /**
   * What the service has given up, when it is in the dead letters. What the broker gives up by itself (a time to live, a
   * full queue) is not here, but in the queue: `broker.take('QUEUE.dead', 1)`.
   */
  deadLettered(
    pattern: string = ANY_PATTERN,
    predicate: Predicate<HandledMessage> = all,
  ): Sightings<HandledMessage> {
    return this.#handled('dead-lettered', ['dead-lettered'], pattern, predicate);
  }

  #handled(
    verb: string,
    results: readonly HandledMessage['result'][],
    pattern: string,
    predicate: Predicate<HandledMessage>,
  ): Sightings<HandledMessage> {
    const seen = (): readonly HandledMessage[] =>
      this.#recorder.handled.filter(({ result }) => results.includes(result));
    return this.#sightings(verb, seen, pattern, predicate);
  }

  #sightings<T extends SeenMessage>(
    verb: string,
    seen: () => readonly T[],
    pattern: string,
    predicate: Predicate<T>,
  ): Sightings<T> {
    const { timeline } = this;
    const watch = (onChange: () => void): (() => void) => this.#recorder.watch(onChange);
    return new Sightings({ verb, seen, watch, timeline: () => timeline() }, pattern, predicate);
  }

  /** Every message, hop by hop, as text for people. */
  readonly timeline = (): string => this.#recorder.timeline.toString();

  // ---------------------------------------------------------------- time and rest

  /** As {@link TestBroker.advance}: also the application's timers go by it. */
  advance(by: Duration): Promise<void> {
    return this.broker.advance(by);
  }

  /**
   * Resolves when no message is on its way: none ready where somebody consumes, none with a handler or unconfirmed, none
   * delayed. Rejects with the timeline when that takes longer than the timeout, and at once when only time could bring it
   * about and stands still.
   */
  idle(options: WaitOptions = {}): Promise<void> {
    return untilIdle(() => this.#pending(), {
      timeoutMs: timeoutOf(options),
      isStuck: this.broker.isManual,
      describe: () => `\n\n${this.timeline()}`,
    });
  }

  #pending(): Pending {
    const { ready, unsettled, delayed } = pendingIn(this.broker.engine, this.#bookkeeping);
    return { ready, unsettled: Math.max(unsettled, this.#recorder.pendingCount), delayed };
  }

  // ---------------------------------------------------------------- faults

  /**
   * The next handler of a message that the pattern means throws this error instead of being called, so many times. @default once
   */
  failNext(pattern: string, error: unknown, times = 1): void {
    this.#recorder.faults.fail(pattern, error, times);
  }

  /** The next message that the application publishes under such a pattern goes out twice, with one id. @default once */
  duplicateNext(pattern: string, times = 1): void {
    this.#recorder.faults.duplicate(pattern, times);
  }

  /**
   * The next `count` messages that come for handlers under such a pattern are held back until all are there, then handed over
   * the last one first: what a retry, a redelivery or a second instance may do to an order. Those with the same `orderingKey`
   * keep theirs. Resolves with them, in the order in which they were handed over. Rejects, with the timeline, when it can't be
   * met, and all is handed over as it came: all have one ordering key, the queue's prefetchCount is less than `count`, or not
   * all of them come within two seconds of real time after the first. Throws TypeError for a count below 2.
   */
  reorderNext(pattern: string, count: number): Promise<readonly SeenMessage[]> {
    return this.#recorder.faults.reorder(pattern, count);
  }

  /**
   * From now on what is published is in the broker, but nobody is told: `emit` does not complete. Until what is returned is
   * called. Throws when they are delayed already.
   */
  delayConfirms(): () => void {
    return this.#recorder.faults.holdConfirms();
  }

  /**
   * The application loses its connections, and comes back by itself (with a manual clock, when time has moved by 100 ms): what
   * its handlers have comes again, signals abort, and what is published meanwhile waits. Other AMQP clients lose theirs too.
   * Throws unless the harness was started `over: 'amqp'`: otherwise there is no connection.
   */
  disconnect(): void {
    if (!this.begin.isRemote)
      throw new Error(
        "The application talks to the broker in this process, without a connection. Start it with { over: 'amqp' }; what other AMQP clients have, harness.broker.disconnect() ends.",
      );
    this.broker.disconnect();
  }

  /** As {@link TestBroker.full}: what is published waits, until what is returned is called. */
  full(): () => void {
    return this.broker.full();
  }

  /**
   * As if the process was killed, with the broker in it: what is on the disk at this moment is what {@link restart} finds, and
   * what handlers that run still do changes nothing; their signals abort.
   */
  async crash(): Promise<void> {
    const { app, clock } = this.#running;
    const crashed = this.broker.crash();
    this.#life = undefined;
    this.#recorder.crashed();
    this.#recorder.faults.crash();
    clock.end();
    await app.close();
    await crashed;
  }

  /**
   * Another application like the first, on what is on the disk: after {@link crash}, or after closing in good order. Messages
   * that were not settled come again. Rejects when {@link start} was given a builder, and not a function that makes one.
   */
  async restart(): Promise<void> {
    const { builder } = this.begin;
    if (typeof builder !== 'function') {
      throw new TypeError('Give start() a function that makes the builder: a module is compiled once.');
    }
    this.#recorder.faults.releaseMessages();
    await this.#life?.app.close();
    this.#life = undefined;
    await this.broker.restart();
    await this.#begin(builder());
  }

  // ---------------------------------------------------------------- the end

  /** Closes the application, which drains, then the broker. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#recorder.faults.clear();
    try {
      await this.#life?.app.close();
    } finally {
      await this.broker.stop();
    }
  }
}

interface Begin<M, A> {
  readonly builder: TestingBuilder<M> | (() => TestingBuilder<M>);
  readonly isRemote: boolean;
  readonly startApplication: (module: M) => Promise<A | RunningApplication>;
}

/** From a start to its end. */
interface Life<M, A> {
  readonly module: M;
  readonly app: A;
  readonly clock: LifeClock;
}

const all = (): boolean => true;

/** The server and the client of QueueModule are made of other options. */
function rewire(builder: TestingBuilder<unknown>, rewired: (own: QueueOptions) => QueueOptions): void {
  const inject = [QUEUE_OPTIONS];
  builder
    .overrideProvider(QueueServer)
    .useFactory({ factory: (options: QueueOptions) => new QueueServer(rewired(options)), inject });
  builder
    .overrideProvider(QueueClient)
    .useFactory({ factory: (options: QueueOptions) => new QueueClient(rewired(options)), inject });
}

async function startMicroservice(module: ModuleUnderTest): Promise<RunningApplication> {
  const strategy = module.get(QueueServer, { strict: false });
  const app = module.createNestMicroservice({ strategy });
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  return app;
}
