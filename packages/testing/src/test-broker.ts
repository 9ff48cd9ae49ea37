import { randomUUID } from 'node:crypto';
import {
  type Broker,
  type Clock,
  type Connection,
  ManualClock,
  readDefinitions,
  SimulatedFileSystem,
  systemClock,
} from '@nestmq/broker';
import { type BrokerLease, type Duration, leaseBroker, type QueueOptions } from '@nestmq/transport';
import { pendingIn, stateOf, timeoutOf, untilIdle, type WaitOptions } from './idle.js';
import { received, type ReceivedMessage } from './received.js';
import { takenFrom } from './taking.js';
import { normaliseTestBrokerOptions, type TestBrokerOptions } from './test-broker.options.js';
import { advance, untilEnded } from './test-clock.js';
import { BOOKKEEPING, bookkeepingIn, type Topology, topologyOf } from './topology.js';

/**
 * The real engine, on files that are in memory, for the tests of an application: give its `queueOptions` to `QueueModule`, and nothing outside
 * the process is needed. Each one is apart from all others. What is in it outlives the application, so that a test can
 * close one and start the next.
 */
export class TestBroker {
  readonly #memory: string;
  readonly #clock: ManualClock | undefined;
  readonly #port: number | undefined;
  #files: SimulatedFileSystem;
  #lease: BrokerLease;
  #connection: Connection;
  #stopping: Promise<void> | undefined;
  #advancing: Promise<void> = Promise.resolve();

  private constructor({ memory, clock, files }: Engine, lease: BrokerLease) {
    this.#memory = memory;
    this.#clock = clock;
    this.#files = files;
    this.#port = lease.port;
    this.#lease = lease;
    this.#connection = lease.broker.connect();
  }

  /** Rejects with a TypeError at options that it does not have. */
  static async start(options: TestBrokerOptions = {}): Promise<TestBroker> {
    const { listen, clock } = normaliseTestBrokerOptions(options);
    const engine: Engine = {
      memory: `test-${randomUUID()}`,
      clock: clock === 'manual' ? new ManualClock() : undefined,
      files: new SimulatedFileSystem(),
    };
    return new TestBroker(engine, await open(engine, listen ? 0 : undefined));
  }

  /**
   * For `QueueModule.forRoot({ url })`. With a manual clock give it {@link queueOptions}: the application needs the clock too.
   */
  get url(): string {
    return `memory:${this.#memory}`;
  }

  /** For `QueueModule.forRoot({ ...broker.queueOptions })`: where messages live, and whose time it is. */
  get queueOptions(): Pick<QueueOptions, 'url' | 'broker'> {
    return { url: this.url, ...(this.#clock === undefined ? {} : { broker: { clock: this.#clock } }) };
  }

  /** The broker's time. */
  get clock(): Clock {
    return this.#clock ?? systemClock;
  }

  /** Where any AMQP 0-9-1 client connects, as guest. Throws when the broker was started without `listen`. */
  get amqpUrl(): string {
    if (this.#port === undefined) {
      throw new Error('This TestBroker does not listen. Start it with TestBroker.start({ listen: true }).');
    }
    return `amqp://guest:guest@127.0.0.1:${this.#port}`;
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
    return this.clock.now();
  }

  /** Messages that wait in a queue. Throws NOT_FOUND when there is no such queue. */
  messageCount(queue: string): number {
    return this.#connection.checkQueue(queue).messageCount;
  }

  /**
   * Takes `count` messages out of a queue, in order, waiting for those that are still to come. Use it for queues that
   * no handler consumes, such as the dead letters in `QUEUE.dead`. Rejects when they do not come in time, and those that
   * have come are in the queue again; with NOT_FOUND when there is no such queue.
   */
  async take(queue: string, count: number, options: WaitOptions = {}): Promise<ReceivedMessage[]> {
    if (!Number.isInteger(count) || count < 0) {
      throw new TypeError(`'count' is ${String(count)}. Give a whole number, 0 or more.`);
    }
    const taken = await takenFrom(this.#connection, queue, count, timeoutOf(options));
    return taken.map(received);
  }

  /**
   * The durable exchanges, queues, bindings and policies as they are now, sorted, for a snapshot test: what a deployment would
   * change is seen in it. Exclusive queues of connections and other transient things are not in it.
   */
  async recordTopology(): Promise<Topology> {
    await this.engine.durable();
    return topologyOf(await readDefinitions(this.#files, DIRECTORY));
  }

  // ---------------------------------------------------------------- time and rest

  /**
   * Moves a manual clock, as if the time had passed: what expires, is delayed, tried again or scheduled, and heartbeats of
   * AMQP connections. It moves from one timer to the next, and lets what each has begun come to rest; resolves when all has.
   * What a handler waits for outside of this process is not waited for: see {@link idle}. Rejects when the clock is the system's.
   * Called again before it has resolved, it begins after that: times add up.
   */
  async advance(by: Duration): Promise<void> {
    const clock = this.#clock;
    if (clock === undefined) {
      throw new Error(
        "The clock is the system's. Start the broker with TestBroker.start({ clock: 'manual' }) to move its time.",
      );
    }
    const advancing = this.#advancing.then(() => advance(clock, by, () => stateOf(this.engine)));
    // Its failure is told to who has asked for it.
    this.#advancing = advancing.catch(() => undefined);
    await advancing;
  }

  /**
   * Resolves when no message is on its way: none ready in a queue with a consumer, none unsettled, none delayed. What the
   * transport of an application keeps unsettled for itself, in `QUEUE.schedule` and `QUEUE.inbox`, does not count. Rejects when
   * it takes longer than the timeout; and at once when all that is left is delayed, and the clock is manual.
   */
  async idle(options: WaitOptions = {}): Promise<void> {
    const timeoutMs = timeoutOf(options);
    const kept = await this.#bookkeeping();
    await untilIdle(() => pendingIn(this.engine, kept), {
      timeoutMs,
      isManual: this.isManual,
      state: () => stateOf(this.engine),
      describe: () => '',
    });
  }

  /** Read when there may be such queues, and not otherwise. */
  async #bookkeeping(): Promise<ReadonlySet<string>> {
    if (!this.engine.queues().some(({ name }) => BOOKKEEPING.test(name))) return new Set();
    return bookkeepingIn(await this.recordTopology());
  }

  // ---------------------------------------------------------------- faults

  /** Ends the sessions of AMQP clients, which are told 320 CONNECTION_FORCED; they may come back at once. */
  disconnect(): void {
    this.engine.disconnectUsers('TestBroker.disconnect()');
  }

  /**
   * Blocks publishers as a disk that is nearly full does: they wait, and AMQP clients that want to know are told
   * (`connection.blocked`). Consumers go on. Until what is returned is called, or {@link reset}.
   */
  full(): () => void {
    this.engine.block('The disk of this TestBroker is full: full().');
    return () => this.engine.block(undefined);
  }

  /**
   * What is on the disk at this moment is what {@link restart} finds, as after SIGKILL: what was confirmed is there, unless
   * it was settled and that was durable; transient messages and queues are gone. What happens to the engine from now on
   * leaves no trace. AMQP clients are disconnected. Applications that embed it are not killed: close them before `restart`.
   */
  async crash(): Promise<void> {
    this.#files = this.#files.afterKill();
    this.disconnect();
    await this.#letGo();
  }

  /**
   * Begins anew with what is on the disk, at the same addresses: after {@link crash} or {@link stop}, or at once, in good order.
   * Rejects when an application still has the engine open.
   */
  async restart(): Promise<void> {
    await this.#letGo();
    if (!this.engine.isClosed) {
      throw new Error('An application still uses the broker. Close it before restart().');
    }
    const engine = { memory: this.#memory, clock: this.#clock, files: this.#files };
    this.#lease = await open(engine, this.#port);
    this.#connection = this.engine.connect();
    this.#stopping = undefined;
  }

  // ---------------------------------------------------------------- the end

  /**
   * As new, at the same address: connections are closed, AMQP clients are told so; queues, exchanges, bindings and messages
   * are gone. Close applications on it before: theirs are closed as well. Users, policies and the time stay.
   */
  reset(): void {
    this.engine.clear();
    this.engine.block(undefined);
    this.#connection = this.engine.connect();
  }

  /**
   * Lets go of the engine; with the last application on it closed as well, nothing is left. AMQP clients are told, and are
   * given two seconds to answer. Idempotent.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#letGo();
    return this.#stopping;
  }

  async #letGo(): Promise<void> {
    this.#connection.close();
    await untilEnded(this.#lease.release(), this.#clock);
  }
}

/** On files that are in memory. */
const DIRECTORY = 'mq';

/** What a TestBroker opens, and opens again. */
interface Engine {
  readonly memory: string;
  readonly clock: ManualClock | undefined;
  readonly files: SimulatedFileSystem;
}

/** The journal as it is on a disk, on files that are in memory: what a confirm promises can be tested. */
function open({ memory, clock, files }: Engine, port: number | undefined): Promise<BrokerLease> {
  const options = {
    directory: DIRECTORY,
    fileSystem: files,
    // By a clock that stands still, nothing would make acks durable.
    settlementDelayMs: 0,
    ...(clock === undefined ? {} : { clock }),
    ...(port === undefined ? {} : { listen: { port } }),
  };
  return leaseBroker({ memory }, options);
}
