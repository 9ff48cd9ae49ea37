import { fork } from 'node:child_process';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  PLANTED_FAULTS as ENGINE_FAULTS,
  withFault as withEngineFault,
} from './broker-planted-faults.spec.support.js';
import { simulateBroker } from './broker-simulation.spec.support.js';
import {
  type Count,
  seedThatFinds,
  shorten,
  shrink,
  type Shrunk,
  type Simulation,
} from './simulating.spec.support.js';
import { PLANTED_FAULTS } from './store/planted-faults.spec.support.js';
import { simulate, withFault } from './store/simulation.spec.support.js';

/**
 * `npm run simulate -- --seeds N --from S`: random histories of the store and of the whole engine, checked; a failure
 * prints its seed and the smallest history that fails. `--store` or `--engine`: one kind only. `--jobs J`: in so many
 * processes. `--faults`: which seed finds each planted fault. One JSON line a result.
 */
interface Kind {
  readonly name: string;
  readonly simulation: Simulation;
  readonly shrink: (simulation: Simulation, seed: number) => Promise<Shrunk>;
  readonly faults: readonly {
    readonly name: string;
    readonly withinSeeds: number;
    readonly simulation: Simulation;
  }[];
}

const KINDS: readonly Kind[] = [
  {
    name: 'store',
    simulation: simulate,
    shrink: shorten,
    faults: PLANTED_FAULTS.map((fault) => ({
      name: fault.name,
      withinSeeds: fault.withinSeeds,
      simulation: withFault(fault),
    })),
  },
  {
    name: 'engine',
    simulation: simulateBroker,
    shrink,
    faults: ENGINE_FAULTS.map((fault) => ({
      name: fault.name,
      withinSeeds: fault.withinSeeds,
      simulation: withEngineFault(fault),
    })),
  },
];

/** What one process does: every `step`th seed. */
interface Share {
  readonly kinds: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** Where a process finds its share. */
const SHARE = 'NESTMQ_SIMULATION_SHARE';

type Sum = Count & { histories: number; violations: number };

const NOTHING: Sum = {
  histories: 0,
  operations: 0,
  crashes: 0,
  diskErrors: 0,
  compactions: 0,
  violations: 0,
};

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function addTo(sum: Sum, more: Partial<Sum>): void {
  for (const key of Object.keys(sum) as (keyof Sum)[]) sum[key] += more[key] ?? 0;
}

function kindsNamed(names: readonly string[]): Kind[] {
  return KINDS.filter(({ name }) => names.includes(name));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(cpus().length) },
      store: { type: 'boolean', default: false },
      engine: { type: 'boolean', default: false },
      faults: { type: 'boolean', default: false },
    },
  });
  const both = values.store === values.engine;
  const kinds = KINDS.map(({ name }) => name).filter((name) => both || values[name as 'store' | 'engine']);
  if (values.faults) return findFaults(kindsNamed(kinds));
  const from = Number(values.from);
  return run({ kinds, from, to: from + Number(values.seeds), step: Number(values.jobs) });
}

/** Starts the processes, and adds up what they say. */
async function run(all: Share): Promise<void> {
  const started = process.hrtime.bigint();
  const sum = { ...NOTHING };
  const shares = Array.from({ length: all.step }, (_, i) => ({ ...all, from: all.from + i }));
  await Promise.all(shares.map(async (share) => addTo(sum, await inProcess(share))));
  const seconds = Math.round(Number(process.hrtime.bigint() - started) / 1e9);
  print({ kinds: all.kinds, from: all.from, ...sum, seconds });
  process.exitCode = sum.violations === 0 ? 0 : 1;
}

function inProcess(share: Share): Promise<Sum> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), {
      env: { ...process.env, [SHARE]: JSON.stringify(share) },
    });
    child.on('message', (message: { readonly violation?: object; readonly sum?: Sum }) => {
      if (message.violation !== undefined) print(message.violation);
      if (message.sum !== undefined) resolve(message.sum);
    });
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`a process of the simulation ended with ${code}`)));
  });
}

async function work({ kinds, from, to, step }: Share): Promise<void> {
  const sum = { ...NOTHING };
  for (let seed = from; seed < to; seed += step) {
    for (const { name: kind, simulation, shrink: shrunk } of kindsNamed(kinds)) {
      sum.histories++;
      try {
        addTo(sum, await simulation(seed));
      } catch {
        sum.violations++;
        process.send?.({ violation: { kind, seed, ...(await shrunk(simulation, seed)) } });
      }
    }
  }
  process.send?.({ sum });
}

async function findFaults(kinds: readonly Kind[]): Promise<void> {
  for (const { name: kind, shrink: shrunk, faults } of kinds) {
    for (const { name: fault, withinSeeds, simulation } of faults) {
      const foundBy = await seedThatFinds(simulation, withinSeeds);
      if (foundBy === undefined) process.exitCode = 1;
      const found = foundBy === undefined ? undefined : await shrunk(simulation, foundBy);
      print({
        kind,
        fault,
        foundBySeed: foundBy ?? null,
        withinSeeds,
        operations: found?.history.length ?? null,
        failure: found?.failure ?? null,
      });
    }
  }
}

const share = process.env[SHARE];
await (share === undefined ? main() : work(JSON.parse(share) as Share));
