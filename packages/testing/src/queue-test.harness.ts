import { ManualClock } from '@nestmq/broker';
import { type Duration, QUEUE_WITNESS, QueueClient, type QueueOptions } from '@nestmq/transport';
import { type Pending, pendingIn, stateOf, timeoutOf, untilIdle, type WaitOptions } from './idle.js';
import { Life } from './life.js';
import { Recorder } from './recorder.js';
import type { HandledMessage, PublishedMessage, SeenMessage } from './seen.js';
import { type Predicate, Sightings } from './sightings.js';
import { TestBroker } from './test-broker.js';
import type { TestBrokerOptions } from './test-broker.options.js';
import { untilEnded, withinRealTime } from './test-clock.js';
import {
  type ModuleUnderTest,
  type RunningApplication,
  startMicroservice,
  type TestingBuilder,
} from './testing-builder.js';

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
  #running: Running<M, A> | undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined;

  private constructor(
    readonly broker: TestBroker,
    private readonly begin: Begin<M, A>,
  ) {
    this.#recorder = new Recorder(() => broker.now());
  }

  /**
   * `builder`: or a function that makes one, for tests with {@link restart}. Rejects when the module can't be compiled, has no
   * `QueueModule`, or the application can't start. Then nothing is left open but what `startApplication` has opened itself.
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
    const life = new Life(this.broker.clock);
    this.#recorder.begins();
    life.rewire(builder, (own) => this.#rewired(own, life.clock));
    try {
      const module = await builder.compile();
      if (!life.isConnected)
        throw new Error('The module has no QueueModule: import QueueModule.forRoot(options) into it.');
      const app = (await this.begin.startApplication(module)) as A;
      this.#running = { module, app, life };
    } catch (error) {
      await life.letGo('closed');
      throw error;
    }
  }

  /** The options of QueueModule with another home, another clock and a witness. */
  #rewired(
    { url: _url, urls: _urls, amqp: _amqp, link: _link, ...own }: QueueOptions,
    clock: Life['clock'],
  ): QueueOptions {
    const { queue = 'default' } = own;
    for (const kept of ['schedule', 'inbox']) this.#bookkeeping.add(`${queue}.${kept}`);
    const home = this.begin.isRemote
      ? { url: this.broker.amqpUrl, amqp: { reconnect: BACK_SOON } }
      : { url: this.broker.url };
    return { ...own, ...home, broker: { clock }, [QUEUE_WITNESS]: this.#recorder };
  }

  get #application(): Running<M, A> {
    if (this.#running === undefined) throw new Error('The application has crashed: restart() it.');
    return this.#running;
  }

  /** The compiled testing module. Throws between {@link crash} and {@link restart}. */
  get module(): M {
    return this.#application.module;
  }

  /** What runs. Throws between {@link crash} and {@link restart}. */
  get app(): A {
    return this.#application.app;
  }

  // ---------------------------------------------------------------- messages

  /**
   * By the application's own client. Resolves when the event is in the queue of each service that handles it; rejects when
   * the application is killed before that, or is closed.
   */
  emit(pattern: unknown, data: unknown): Promise<void> {
    return this.#application.life.ask<void>((resolve, reject) => {
      this.#client.emit(pattern, data).subscribe({ complete: resolve, error: reject });
    });
  }

  /**
   * Resolves with the first value of the answer, undefined when there is none; rejects with the error that it is, and as
   * {@link emit}.
   */
  send<R = unknown>(pattern: unknown, data: unknown): Promise<R> {
    return this.#application.life.ask<R>((resolve, reject) => {
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
   * Resolves when no message is on its way: none about to be sent, none ready where somebody consumes, none with a handler or
   * unconfirmed, none delayed, and no request without its answer. Rejects with the timeline when that takes longer than the
   * timeout, and at once when all that is left is delayed, and time stands still.
   */
  idle(options: WaitOptions = {}): Promise<void> {
    return untilIdle(() => this.#pending(), {
      timeoutMs: timeoutOf(options),
      isManual: this.broker.isManual,
      state: () => stateOf(this.broker.engine),
      describe: () => `\n\n${this.timeline()}`,
    });
  }

  #pending(): Pending {
    const { ready, unsettled, delayed } = pendingIn(this.broker.engine, this.#bookkeeping);
    const underWay = this.#running?.life.underWay ?? 0;
    return { ready, unsettled: Math.max(unsettled, this.#recorder.pendingCount), delayed, underWay };
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
   * what handlers that run still do changes nothing; their signals abort, and what they have published and was not confirmed
   * never is. The application is closed, so that nothing of it is left open: its shutdown hooks run, and have two seconds.
   */
  async crash(): Promise<void> {
    const { app, life } = this.#application;
    const crashed = this.broker.crash();
    this.#running = undefined;
    this.#recorder.crashed();
    this.#recorder.faults.crash();
    life.kill();
    try {
      // They may wait for what never comes.
      await withinRealTime(app.close());
    } finally {
      await life.letGo('killed');
      await crashed;
    }
  }

  /**
   * Another application like the first, on what is on the disk: after {@link crash} or {@link close}, or at once, when the
   * first is closed in good order. Messages that were not settled come again. Rejects when {@link start} was given a builder,
   * and not a function that makes one.
   */
  async restart(): Promise<void> {
    const { builder } = this.begin;
    if (typeof builder !== 'function') {
      throw new TypeError('Give start() a function that makes the builder: a module is compiled once.');
    }
    if (!this.#isClosed) await this.#end();
    this.#running = undefined;
    this.#isClosed = false;
    this.#closing = undefined;
    await this.broker.restart();
    await this.#begin(builder());
  }

  // ---------------------------------------------------------------- the end

  /**
   * Closes the application, which drains, then the broker. What was held up goes on: confirms, a full disk. Handlers have the
   * application's grace period; by a manual clock that is over after two seconds of real time. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#recorder.faults.clear();
    try {
      await this.#end();
    } finally {
      await this.broker.stop();
    }
  }

  /** Of a life, in good order. */
  async #end(): Promise<void> {
    if (this.#running === undefined) return;
    const { app, life } = this.#running;
    this.#recorder.faults.releaseConfirms();
    this.#recorder.faults.releaseMessages();
    this.broker.engine.block(undefined);
    const { clock } = this.broker;
    try {
      await untilEnded(app.close(), clock instanceof ManualClock ? clock : undefined);
    } finally {
      await life.letGo('closed');
    }
  }
}

interface Begin<M, A> {
  readonly builder: TestingBuilder<M> | (() => TestingBuilder<M>);
  readonly isRemote: boolean;
  readonly startApplication: (module: M) => Promise<A | RunningApplication>;
}

interface Running<M, A> {
  readonly module: M;
  readonly app: A;
  readonly life: Life;
}

const all = (): boolean => true;
