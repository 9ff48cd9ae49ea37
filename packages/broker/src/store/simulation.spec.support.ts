import { messageOf } from '../errors.js';
import { pick, seededRandom } from '../random.spec.support.js';
import type { FileSystem } from './file-system.js';
import { act, type Habits, ORDERLY, STUCK } from './journal-history.spec.support.js';
import { durable, JournalModel, journalOn } from './journal-model.spec.support.js';
import type { JournalStore } from './journal-store.js';
import type { MessageStore } from './message-store.js';
import { SimulatedFileSystem, systemError } from './simulated-file-system.js';

/** A bug that is put in on purpose, to see that the simulation finds it. */
export interface PlantedFault {
  readonly name: string;
  /** Stands between the journal and its disk. */
  readonly disk?: (disk: SimulatedFileSystem) => FileSystem;
  /** Stands between the model and the journal. */
  readonly store?: (store: JournalStore) => MessageStore;
}

export interface SimulationOptions {
  readonly fault?: PlantedFault;
  /** The history ends after so many operations: how a failure is shrunk. */
  readonly operationsMax?: number;
  /** Told of each operation and each crash, in words. */
  readonly trace?: (line: string) => void;
}

export interface Simulated {
  readonly operations: number;
  /** Power cuts and kills, those in the middle of an opening included. */
  readonly crashes: number;
  /** Writes, syncs and the like that were made to fail. */
  readonly diskErrors: number;
  /** Segments that were emptied so that they could go. */
  readonly compactions: number;
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
  const count = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
  let disk = new SimulatedFileSystem();
  const habits = random() < 0.5 ? ORDERLY : STUCK;
  const segmentBytesMax = habits === STUCK ? 2048 : 4096;
  const open = (): JournalStore => journalOn(fault?.disk?.(disk) ?? disk, { segmentBytesMax });
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
    if (random() < 0.2) failSoon(disk, random, count);
    count.operations += await live(model, store, random, {
      habits,
      operationsMax: operationsMax - count.operations,
    });
    count.compactions += store.compactions;
    const { moment } = model;
    trace?.(`crash, with ${moment.durable} of ${moment.begun} operations reported durable`);
    disk = crash(disk, random);
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

function crash(disk: SimulatedFileSystem, random: () => number): SimulatedFileSystem {
  return random() < 0.2 ? disk.afterKill() : disk.afterPowerCut(random);
}

/** After some more operations of the disk, each write, sync or new file fails. */
function failSoon(disk: SimulatedFileSystem, random: () => number, count: { diskErrors: number }): void {
  let left = pick(random, 60);
  const code = random() < 0.5 ? 'EIO' : 'ENOSPC';
  disk.fault = (operation, path) => {
    if (operation !== 'write' && operation !== 'sync' && operation !== 'open') return undefined;
    // The mark is only a hint, and is written without waiting: it does not fail here.
    if (path.endsWith('/durable') || left-- > 0) return undefined;
    count.diskErrors++;
    return systemError(code, path);
  };
}

/** Random operations until it is enough, or the disk has failed; returns how many. */
async function live(
  model: JournalModel,
  store: JournalStore,
  random: () => number,
  { habits, operationsMax }: { readonly habits: Habits; readonly operationsMax: number },
): Promise<number> {
  const before = model.steps;
  for (
    let left = Math.min(operationsMax, 10 + pick(random, habits === STUCK ? 400 : 120));
    left > 0;
    left--
  ) {
    if (store.failure !== undefined) break;
    act(model, random, 200, habits);
    model.watch();
    // Sometimes a part of the commit that is under way, so that the crash comes at any place of it.
    for (let turns = pick(random, 12); turns > 8; turns--) await new Promise(setImmediate);
    for (let turns = pick(random, 6); turns > 0; turns--) await Promise.resolve();
  }
  return model.steps - before;
}

async function crashWhileOpening(
  store: JournalStore,
  disk: SimulatedFileSystem,
  random: () => number,
): Promise<SimulatedFileSystem> {
  const opening = store.open();
  for (let turns = pick(random, 60); turns > 0; turns--) await Promise.resolve();
  const left = disk.afterPowerCut(random);
  await opening;
  await store.close();
  return left;
}

/** The shortest history of a seed that still fails, found by halving, and how it fails. */
export async function shrink(
  seed: number,
  fault?: PlantedFault,
): Promise<{ readonly history: readonly string[]; readonly failure: string }> {
  const attempt = async (
    operationsMax: number,
  ): Promise<{ history: string[]; failure: string } | undefined> => {
    const history: string[] = [];
    const options = { operationsMax, trace: (line: string) => void history.push(line) };
    try {
      await simulate(seed, fault === undefined ? options : { ...options, fault });
      return undefined;
    } catch (error) {
      return { history, failure: messageOf(error) };
    }
  };
  let shortest = await attempt(Infinity);
  if (shortest === undefined) throw new Error(`seed ${seed} does not fail`);
  let passes = 0;
  let fails = shortest.history.length;
  while (fails - passes > 1) {
    const middle = Math.floor((passes + fails) / 2);
    const found = await attempt(middle);
    if (found === undefined) passes = middle;
    else {
      fails = middle;
      shortest = found;
    }
  }
  return shortest;
}

/** The first seed that finds the fault, or undefined. */
export async function seedThatFinds(fault: PlantedFault, seedsMax: number): Promise<number | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    try {
      await simulate(seed, { fault });
    } catch {
      return seed;
    }
  }
  return undefined;
}
