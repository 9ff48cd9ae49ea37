import { QUEUE_OPTIONS, QUEUE_WITNESS, QueueClient, type QueueOptions, QueueServer } from '@nestmq/transport';
import type { Duration } from '@nestmq/transport';
import { Faults } from './faults.js';
import { type Pending, pendingIn, timeoutOf, untilIdle, type WaitOptions } from './idle.js';
import { Recorder } from './recorder.js';
import type { HandledMessage, PublishedMessage, SeenMessage } from './seen.js';
import { type Predicate, Sightings } from './sightings.js';
import { TestBroker, type TestBrokerOptions } from './test-broker.js';
import type { ModuleUnderTest, RunningApplication, TestingBuilder } from './testing-builder.js';

export interface HarnessOptions<
  M,
  A extends RunningApplication = RunningApplication,
> extends TestBrokerOptions {
  /**
   * Makes the application of the module and starts it, as the application itself does: for those that have HTTP as well, or
   * global pipes. @default a microservice with nothing but the QueueServer
   */
  readonly startApplication?: (module: M) => Promise<A>;
}

const ANY_PATTERN = '#';

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
  readonly #faults: Faults;
  readonly #recorder: Recorder;
  /** Queues in which the transport keeps messages of its own, unsettled. */
  readonly #bookkeeping: ReadonlySet<string>;
  #closing: Promise<void> | undefined;

  private constructor(
    readonly broker: TestBroker,
    /** The compiled testing module. */
    readonly module: M,
    /** What runs. */
    readonly app: A,
    { faults, recorder, bookkeeping }: Wiring,
  ) {
    this.#faults = faults;
    this.#recorder = recorder;
    this.#bookkeeping = bookkeeping;
  }

  /** Rejects, with nothing left open, when the module can't be compiled or the application can't start. */
  static async start<M extends ModuleUnderTest, A extends RunningApplication = RunningApplication>(
    builder: TestingBuilder<M>,
    { startApplication, ...options }: HarnessOptions<M, A> = {},
  ): Promise<QueueTestHarness<M, A>> {
    const broker = await TestBroker.start(options);
    const faults = new Faults();
    const wiring: Wiring = {
      faults,
      recorder: new Recorder(() => broker.now(), faults),
      bookkeeping: new Set(),
    };
    rewire(builder, broker, wiring);
    try {
      const module = await builder.compile();
      const app = (await (startApplication ?? startMicroservice)(module)) as A;
      return new QueueTestHarness(broker, module, app, wiring);
    } catch (error) {
      await broker.stop();
      throw error;
    }
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
    this.#faults.fail(pattern, error, times);
  }

  /** The next message that the application publishes under such a pattern goes out twice, with one id. @default once */
  duplicateNext(pattern: string, times = 1): void {
    this.#faults.duplicate(pattern, times);
  }

  /**
   * From now on what is published is in the broker, but nobody is told: `emit` does not complete. Until what is returned is
   * called. Throws when they are delayed already.
   */
  delayConfirms(): () => void {
    return this.#faults.holdConfirms();
  }

  // ---------------------------------------------------------------- the end

  /** Closes the application, which drains, then the broker. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#faults.clear();
    try {
      await this.app.close();
    } finally {
      await this.broker.stop();
    }
  }
}

interface Wiring {
  readonly faults: Faults;
  readonly recorder: Recorder;
  readonly bookkeeping: Set<string>;
}

const all = (): boolean => true;

/** The server and the client of QueueModule are made of its options, with another home and a witness. */
function rewire(
  builder: TestingBuilder<unknown>,
  broker: TestBroker,
  { recorder, bookkeeping }: Wiring,
): void {
  const rewired = (own: QueueOptions): QueueOptions => {
    const { url: _, urls: _urls, amqp: _amqp, ...options } = own;
    const { queue = 'default' } = options;
    for (const kept of ['schedule', 'inbox']) bookkeeping.add(`${queue}.${kept}`);
    return { ...options, ...broker.queueOptions, [QUEUE_WITNESS]: recorder };
  };
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
