import { messageOf } from './errors.js';
import { pick } from './random.spec.support.js';
import {
  type SimulatedFileSystem,
  type SimulatedOperation,
  systemError,
} from './store/simulated-file-system.js';

/** What random histories did. */
export interface Simulated {
  readonly operations: number;
  /** Power cuts and kills, those in the middle of an opening included. */
  readonly crashes: number;
  /** Operations of the disk that were made to fail. */
  readonly diskErrors: number;
  /** Segments that were emptied so that they could go. */
  readonly compactions: number;
}

export type Count = { -readonly [K in keyof Simulated]: Simulated[K] };

export interface HistoryOptions {
  /** The history ends after so many operations: how a failure is shrunk. */
  readonly operationsMax?: number;
  /** Operations, by their number, that are left out: how it is shrunk further, where operations are independent. */
  readonly without?: ReadonlySet<number>;
  /** Told of each operation and each crash, in words. */
  readonly trace?: (line: string) => void;
}

/** One random history, the same for the same seed. Throws, in words, when something is lost, risen again or wrong. */
export type Simulation = (seed: number, options?: HistoryOptions) => Promise<Simulated>;

/** A history that fails, and how. */
export interface Shrunk {
  readonly history: readonly string[];
  readonly failure: string;
}

async function attempt(
  simulation: Simulation,
  seed: number,
  options: HistoryOptions = {},
): Promise<Shrunk | undefined> {
  const history: string[] = [];
  try {
    await simulation(seed, { ...options, trace: (line) => void history.push(line) });
    return undefined;
  } catch (error) {
    return { history, failure: messageOf(error) };
  }
}

/** The shortest history of a seed that still fails, found by halving. */
export async function shorten(
  simulation: Simulation,
  seed: number,
): Promise<Shrunk & { readonly operations: number }> {
  let shortest = await attempt(simulation, seed);
  if (shortest === undefined) throw new Error(`seed ${seed} does not fail`);
  let passes = 0;
  let fails = 1;
  while ((await attempt(simulation, seed, { operationsMax: fails })) === undefined) {
    passes = fails;
    fails *= 2;
  }
  while (fails - passes > 1) {
    const operationsMax = Math.floor((passes + fails) / 2);
    const found = await attempt(simulation, seed, { operationsMax });
    if (found === undefined) passes = operationsMax;
    else {
      fails = operationsMax;
      shortest = found;
    }
  }
  return { ...shortest, operations: fails };
}

/** {@link shorten}, then whatever else can be left out is: in halves, in quarters, and so on, down to one by one. */
export async function shrink(simulation: Simulation, seed: number): Promise<Shrunk> {
  const { operations: operationsMax, ...shortest } = await shorten(simulation, seed);
  let smallest: Shrunk = shortest;
  let without = new Set<number>();
  for (let size = Math.ceil(operationsMax / 2); ; size = Math.ceil(size / 2)) {
    for (let from = 0; from < operationsMax; from += size) {
      const fewer = new Set(without);
      for (let i = from; i < Math.min(from + size, operationsMax); i++) fewer.add(i);
      if (fewer.size === without.size) continue;
      const found = await attempt(simulation, seed, { operationsMax, without: fewer });
      if (found === undefined) continue;
      smallest = found;
      without = fewer;
    }
    if (size === 1) return smallest;
  }
}

/** The first seed that fails, or undefined. */
export async function seedThatFinds(simulation: Simulation, seedsMax: number): Promise<number | undefined> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    if ((await attempt(simulation, seed)) !== undefined) return seed;
  }
  return undefined;
}

/** The machine stops. */
export function crash(
  disk: SimulatedFileSystem,
  random: () => number,
): { readonly how: 'kill' | 'power cut'; readonly left: SimulatedFileSystem } {
  const how = random() < 0.2 ? 'kill' : 'power cut';
  const left = how === 'kill' ? disk.afterKill(random) : disk.afterPowerCut(random);
  left.random = disk.random;
  return { how, left };
}

export interface Failing {
  /** So often; then the disk is well again. @default for ever */
  readonly times?: number;
  /** @default what changes the bytes in files */
  readonly operations?: readonly SimulatedOperation[];
}

/** After some more operations of the disk, each such one fails. */
export function failSoon(
  disk: SimulatedFileSystem,
  random: () => number,
  count: Count,
  { times = Infinity, operations = ['write', 'sync', 'open'] }: Failing = {},
): void {
  let before = pick(random, 60);
  let left = times;
  const code = random() < 0.5 ? 'EIO' : 'ENOSPC';
  disk.fault = (operation, path) => {
    // The mark is only a hint, and is written without waiting: it does not fail here.
    if (!operations.includes(operation) || path.endsWith('/durable') || before-- > 0) return undefined;
    if (left-- <= 0) return undefined;
    count.diskErrors++;
    return systemError(code, path);
  };
}

/** Writes and syncs take their time from now on, so that several are under way, and end in any order. */
export function slowDown(disk: SimulatedFileSystem, random: () => number): void {
  disk.wait = () => (random() < 0.5 ? undefined : turns(pick(random, 8), pick(random, 3)));
}

/** Nothing comes back from this disk any more: the machine that had it is off. */
export function switchOff(disk: SimulatedFileSystem): void {
  disk.wait = () => new Promise(() => {});
}

/** Lets all others go on for so many microtasks and, after these, so many rounds of the event loop. */
export async function turns(microtasks: number, rounds: number): Promise<void> {
  for (let left = microtasks; left > 0; left--) await Promise.resolve();
  for (let left = rounds; left > 0; left--) await new Promise(setImmediate);
}

const ROUNDS_MAX = 5000;

/** What the promise gives; or an error when it does not come, though all others had all the time that they need. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const state = { isSettled: false };
  const settled = (): void => {
    state.isSettled = true;
  };
  promise.then(settled, settled);
  for (let rounds = 0; !state.isSettled; rounds++) {
    if (rounds === ROUNDS_MAX) throw new Error(`${what} does not end`);
    await turns(0, 1);
  }
  return promise;
}
