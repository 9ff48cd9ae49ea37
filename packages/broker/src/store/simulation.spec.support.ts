import { ManualClock } from '../clock.js';
import { pick, seededRandom } from '../random.spec.support.js';
import {
  type Count,
  crash,
  failSoon,
  type HistoryOptions,
  type Simulated,
  type Simulation,
  slowDown,
  turns,
} from '../simulating.spec.support.js';
import type { FileSystem } from './file-system.js';
import { act, type Habits, ORDERLY, settleOrRequeue, STUCK } from './journal-history.spec.support.js';
import { durable, JournalModel, journalOn } from './journal-model.spec.support.js';
import type { JournalStore } from './journal-store.js';
import type { MessageStore } from './message-store.js';
import { PLANTED } from './planted.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

/** A bug that is put in on purpose, to see that the simulation finds it. */
export interface PlantedFault {
  readonly name: string;
  /** Stands between the journal and its disk. */
  readonly disk?: (disk: SimulatedFileSystem) => FileSystem;
  /** Stands between the model and the journal. */
  readonly store?: (store: JournalStore) => MessageStore;
  /** Breaks a rule inside the store. */
  readonly flag?: keyof typeof PLANTED;
}

export interface SimulationOptions extends HistoryOptions {
  readonly fault?: PlantedFault;
}

/** The simulation of a store, or of its disk, that has the bug. */
export function withFault(fault: PlantedFault): Simulation {
  return async (seed, options) => {
    const { flag } = fault;
    if (flag !== undefined) PLANTED[flag] = true;
    try {
      return await simulate(seed, { ...options, fault });
    } finally {
      if (flag !== undefined) PLANTED[flag] = false;
    }
  };
}

const LIVES = 4;

/**
 * One random history on a simulated disk: operations, then a power cut or a kill at any moment, sometimes one more while
 * it opens again, sometimes a disk that fails before; then what is there is checked against the model (J1 to J4). Throws, in
 * words, when something is lost, risen again, out of order, or wrong.
 */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<Simulated> {
  const random = seededRandom(seed);
  const { fault, operationsMax = Infinity, trace } = options;
  const count: Count = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
  let disk = new SimulatedFileSystem();
  disk.random = seededRandom(seed + 0x5eed);
  const isStuck = random() >= 0.5;
  // A third of the histories have no marks, as most journals.
  const marking = seed % 3 === 1 ? undefined : seededRandom(seed + 0x3a7c);
  const habits = { ...(isStuck ? STUCK : ORDERLY), marking };
  const segmentBytesMax = isStuck ? 2048 : 4096;
  const clock = new ManualClock();
  // Without a cache, messages come from the disk, and things happen while they are read.
  const cacheBytesMax = seed % 2 === 0 ? 0 : 1024 * 1024;
  const settings = { segmentBytesMax, cacheBytesMax, clock };
  const open = (): JournalStore => journalOn(fault?.disk?.(disk) ?? disk, settings);
  const seenBy = (store: JournalStore): MessageStore => fault?.store?.(store) ?? store;
  let store = open();
  await store.open();
  const model = new JournalModel(seenBy(store));
  model.trace = trace;
  // A store that a crash has taken away must not tell the model of what it goes on doing in its own, lost world.
  const letCompact = (one: JournalStore): void => {
    seenBy(one).compactFor({
      find: (queueId, sequence) => (one === store ? model.find(queueId, sequence) : undefined),
      relocate(queueId, sequence, position) {
        if (one === store) model.relocate(queueId, sequence, position);
      },
    });
  };
  letCompact(store);
  for (let life = 0; life < LIVES && count.operations < operationsMax; life++) {
    if (disk.random() < 0.5) slowDown(disk, disk.random);
    if (random() < 0.2) failSoon(disk, random, count);
    count.operations += await live(model, store, random, {
      habits,
      isStuck,
      operationsMax: operationsMax - count.operations,
      heal: random() < 0.5 ? () => healed(store, disk, clock) : undefined,
    });
    count.compactions += store.compactions;
    const { moment } = model;
    const { how, left } = crash(disk, random);
    trace?.(`crash (${how}), with ${moment.durable} of ${moment.begun} operations reported durable`);
    disk = left;
    count.crashes++;
    if (random() < 0.3) {
      disk = await crashWhileOpening(open(), disk, random);
      count.crashes++;
    }
    store = open();
    const recovered = await store.open();
    await model.check(store, recovered, moment);
    model.adopt(seenBy(store), recovered);
    letCompact(store);
  }
  await durable(store);
  await store.close();
  return count;
}

/** Random operations until it is enough, or the disk has failed; returns how many. */
async function live(
  model: JournalModel,
  store: JournalStore,
  random: () => number,
  {
    habits,
    isStuck,
    operationsMax,
    heal,
  }: {
    readonly habits: Habits;
    readonly isStuck: boolean;
    readonly operationsMax: number;
    /** Makes the disk well again; undefined when that does not happen any more. */
    readonly heal: (() => Promise<void>) | undefined;
  },
): Promise<number> {
  const before = model.steps;
  for (let left = Math.min(operationsMax, 10 + pick(random, isStuck ? 400 : 120)); left > 0; left--) {
    if (store.failure !== undefined) {
      if (heal === undefined) break;
      for (let settled = pick(random, 4); settled > 0; settled--) settleOrRequeue(model, random, habits);
      await heal();
      model.trace?.('the disk is well again');
    }
    act(model, random, 200, habits);
    model.watch();
    // Sometimes a part of the commit that is under way, so that the crash comes at any place of it.
    for (let rounds = pick(random, 12); rounds > 8; rounds--) await new Promise(setImmediate);
    for (let microtasks = pick(random, 6); microtasks > 0; microtasks--) await Promise.resolve();
  }
  return model.steps - before;
}

/** Resolves when the store has proved itself. */
async function healed(store: JournalStore, disk: SimulatedFileSystem, clock: ManualClock): Promise<void> {
  disk.fault = undefined;
  for (let tries = 0; store.failure !== undefined; tries++) {
    if (tries === 1000) throw new Error('the disk is well again, but the store does not go on');
    clock.advance(30_000);
    await turns(0, 10);
  }
}

async function crashWhileOpening(
  store: JournalStore,
  disk: SimulatedFileSystem,
  random: () => number,
): Promise<SimulatedFileSystem> {
  const opening = store.open();
  for (let microtasks = pick(random, 60); microtasks > 0; microtasks--) await Promise.resolve();
  const { left } = crash(disk, random);
  await opening;
  await store.close();
  return left;
}
