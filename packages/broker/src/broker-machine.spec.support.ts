import { type Broker, openBroker } from './broker.js';
import {
  adopt,
  afterCrash,
  ALIVE,
  candidatesFor,
  checkFound,
  type Expectation,
  forgetUnused,
} from './broker-expectation.spec.support.js';
import { act, define, type Habits } from './broker-history.spec.support.js';
import { type Found, inspect, isRefusal } from './broker-inspection.spec.support.js';
import { Life } from './broker-life.spec.support.js';
import { BrokerModel } from './broker-model.spec.support.js';
import { ManualClock } from './clock.js';
import { BrokerError } from './errors.js';
import { pick, pickOne } from './random.spec.support.js';
import { type Count, crash, failSoon, slowDown, soon, switchOff, turns } from './simulating.spec.support.js';
import { SimulatedFileSystem, systemError } from './store/simulated-file-system.js';

/** The smallest there are: a history of some 100 KiB fills several. */
const SEGMENT_BYTES = 64 * 1024;
const KIB = 1024;
const DEFINING_OPERATIONS = 18;
const CHANGES = ['write', 'sync', 'open', 'remove', 'rename', 'syncDirectory'] as const;

/** The machine that the engine runs on: its disk, its clock, and what happens to them. */
export class Machine {
  readonly count: Count = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
  readonly #random: () => number;
  readonly #trace: (line: string) => void;
  readonly #habits: Habits;
  readonly #options: {
    readonly cacheBytesMax: number;
    readonly settlementDelayMs: number;
    readonly diskFreeBytesMin: number;
  };
  readonly #isSlow: boolean;
  #disk = new SimulatedFileSystem();
  #clock = new ManualClock();
  #life!: Life;

  constructor(random: () => number, trace: (line: string) => void) {
    this.#random = random;
    this.#trace = trace;
    this.#disk.random = random;
    this.#isSlow = random() < 0.5;
    this.#habits = {
      bodyBytesMax: pickOne(random, [300, 16 * KIB, 48 * KIB]),
      withoutAck: pickOne(random, [0.05, 0.5]),
      oldestFirst: pickOne(random, [0.7, 0.02]),
      publishing: pickOne(random, [0.35, 0.5]),
    };
    this.#options = {
      cacheBytesMax: pickOne(random, [0, 8 * KIB, 1024 * KIB]),
      settlementDelayMs: pickOne(random, [0, 5]),
      // Publishers are blocked, or find the disk full.
      diskFreeBytesMin: pickOne(random, [0, 8 * KIB, 128 * KIB]),
    };
  }

  async open(): Promise<void> {
    this.#live(await soon(this.#openBroker(), 'opening'), new BrokerModel());
  }

  #openBroker(): Promise<Broker> {
    this.#clock = new ManualClock();
    return openBroker({
      directory: '/data',
      fileSystem: this.#disk,
      clock: this.#clock,
      segmentBytesMax: SEGMENT_BYTES,
      ...this.#options,
      onFailure: () => {},
    });
  }

  #live(broker: Broker, model: BrokerModel): void {
    this.#life = new Life(broker, model, this.#trace);
    if (this.#isSlow) slowDown(this.#disk, this.#random);
  }

  // ---------------------------------------------------------------- operations

  async step(number: number, random: () => number): Promise<void> {
    this.count.operations++;
    const choice = random();
    if (this.#life.isDoubtful || choice < (this.#life.hasFailed ? 0.15 : 0.02)) await this.#crash(random);
    else if (choice > 0.99) await this.#closeAndOpen(random);
    else if (choice > 0.985) await this.#lookInside();
    else if (choice > 0.97) this.#trouble(random);
    else if (choice > 0.94) this.#passTime(random);
    else if (number < DEFINING_OPERATIONS) define(this.#life, random, this.#habits);
    else act(this.#life, random, this.#habits);
    if (random() < 0.6) await turns(pick(random, 6), pick(random, 4));
    this.#life.assertNothingWrong();
  }

  /** The end of each history: what the last crash leaves is what it must leave, and can be closed. */
  async end(): Promise<void> {
    this.#life.assertNothingWrong();
    await this.#crash(this.#random);
    await soon(this.#life.broker.close(), 'closing');
    this.#life.end();
  }

  #passTime(random: () => number): void {
    const ms = random() < 0.5 ? 5 : 10_000;
    this.#trace(`${ms} ms go by`);
    this.#clock.advance(ms);
  }

  /** The disk fails soon, for a while or for good; or it is full; or it is well (again). */
  #trouble(random: () => number): void {
    const kind = pickOne(random, ['fails', 'is full', 'can not be read', 'is well', 'is well'] as const);
    this.#trace(`the disk ${kind}`);
    this.#disk.fault = undefined;
    this.#disk.capacityBytes = Infinity;
    if (kind === 'is well') return;
    this.#life.hasTrouble = true;
    if (kind === 'is full') {
      this.#disk.capacityBytes = this.#disk.usedBytes + pick(random, 20 * KIB);
      return;
    }
    const times = pickOne(random, [1, 3, Infinity]);
    const operations = kind === 'fails' ? CHANGES : (['read'] as const);
    failSoon(this.#disk, random, this.count, { times, operations });
  }

  /** All consumers go; what is in the queues then is all that there is. */
  async #lookInside(): Promise<void> {
    const { model, broker } = this.#life;
    this.#trace('look inside');
    this.#life.closeAll();
    await turns(0, 2);
    if (this.#life.hasTrouble) return;
    checkFound(model, await this.#inspect(broker, model, ALIVE), ALIVE);
    for (const one of model.queues.flatMap(({ messages }) => messages)) one.deliveredBefore = true;
    forgetUnused(model);
  }

  #inspect(broker: Broker, model: BrokerModel, expected: Expectation): Promise<Found> {
    const looking = inspect(broker, (name) =>
      candidatesFor(model, name, expected).map(({ type, survives, autoDelete }) => ({
        type,
        autoDelete,
        durable: survives,
      })),
    );
    return soon(looking, 'looking inside');
  }

  // ---------------------------------------------------------------- ends and beginnings

  /** The machine or the process stops, maybe once more while it opens again. */
  async #crash(random: () => number, isClosed: boolean = false): Promise<void> {
    const { model } = this.#life;
    // Some more operations, so that there is something on its way to the disk.
    if (!this.#life.isDoubtful && !isClosed) {
      for (let left = pick(random, 4); left > 0; left--) act(this.#life, random, this.#habits);
      await turns(pick(random, 8), pick(random, 3));
      this.#life.assertNothingWrong();
    }
    this.#life.end();
    this.#stop(random, 'crash');
    while (random() < 0.25) {
      const opening = this.#openBroker();
      // Nobody is there any more to be told; what is wrong with the disk is said at the next opening.
      opening.catch(() => {});
      await turns(pick(random, 60), pick(random, 6));
      this.#stop(random, 'crash while opening');
    }
    if (random() < 0.2) await this.#openInVain(random);
    await this.#comeBack(model);
  }

  #stop(random: () => number, what: string): void {
    const { how, left } = crash(this.#disk, random);
    this.#trace(`${what} (${how})`);
    switchOff(this.#disk);
    this.#disk = left;
    this.count.crashes++;
  }

  /** An operation of the disk fails while the engine opens: it may refuse, and then nothing has changed. */
  async #openInVain(random: () => number): Promise<void> {
    let before = pick(random, 30);
    this.#disk.fault = (_, path) => {
      if (before-- !== 0) return undefined;
      this.count.diskErrors++;
      return systemError('EIO', path);
    };
    try {
      const broker = await soon(this.#openBroker(), 'opening');
      this.#disk.fault = undefined;
      await soon(broker.close(), 'closing');
    } catch (error) {
      this.#disk.fault = undefined;
      this.#trace('the disk fails while the engine opens');
      if (error instanceof BrokerError && error.code.startsWith('JOURNAL')) throw error;
    }
    if (this.#disk.hasDropped) this.#stop(random, 'crash');
  }

  async #comeBack(model: BrokerModel): Promise<void> {
    const broker = await soon(this.#openBroker(), 'opening');
    const expected = afterCrash(model);
    const found = await this.#inspect(broker, model, expected);
    this.#live(broker, adopt(model, found, checkFound(model, found, expected)));
  }

  /** As a process ends that is asked to: all is durable then, if it says so. */
  async #closeAndOpen(random: () => number): Promise<void> {
    const { model, broker } = this.#life;
    this.#trace('close and open again');
    this.#life.closeAll();
    const upTo = model.steps.begun;
    try {
      await soon(broker.close(), 'closing');
      model.steps.confirmAll(upTo);
    } catch (error) {
      if (!isRefusal(error, 'STORE_FAILED') || !this.#life.hasTrouble) throw error;
      return this.#crash(random, true);
    }
    this.#life.end();
    if (this.#disk.hasDropped) this.#stop(random, 'crash');
    this.#disk.wait = undefined;
    this.#disk.fault = undefined;
    this.#disk.capacityBytes = Infinity;
    return this.#comeBack(model);
  }
}
