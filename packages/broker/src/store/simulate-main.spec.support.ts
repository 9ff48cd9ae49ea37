import { parseArgs } from 'node:util';
import { PLANTED_FAULTS } from './planted-faults.spec.support.js';
import { seedThatFinds, shrink, simulate } from './simulation.spec.support.js';

/**
 * `npm run simulate -- --seeds N --from S`: random histories, checked; a failure prints its seed and the shortest history
 * that fails. `-- --faults`: which seed finds each planted fault. One JSON line a result.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    faults: { type: 'boolean', default: false },
  },
});

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

if (values.faults) await findFaults();
else await run(Number(values.from), Number(values.seeds));

async function run(from: number, seeds: number): Promise<void> {
  const started = process.hrtime.bigint();
  const sum = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
  let violations = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    try {
      const done = await simulate(seed);
      sum.operations += done.operations;
      sum.crashes += done.crashes;
      sum.diskErrors += done.diskErrors;
      sum.compactions += done.compactions;
    } catch {
      violations++;
      print({ seed, ...(await shrink(seed)) });
    }
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  print({ histories: seeds, from, ...sum, violations, seconds: Math.round(seconds) });
  process.exitCode = violations === 0 ? 0 : 1;
}

async function findFaults(): Promise<void> {
  for (const fault of PLANTED_FAULTS) {
    const foundBy = await seedThatFinds(fault, fault.withinSeeds);
    if (foundBy === undefined) process.exitCode = 1;
    const found = foundBy === undefined ? undefined : await shrink(foundBy, fault);
    print({
      fault: fault.name,
      foundBySeed: foundBy ?? null,
      withinSeeds: fault.withinSeeds,
      operations: found?.history.length ?? null,
      failure: found?.failure ?? null,
    });
  }
}
