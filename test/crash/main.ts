import { parseArgs } from 'node:util';
import { isClean, type Phase, type PhaseResult, type Skipped } from './phase.js';
import { PHASES } from './phases.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    phase: { type: 'string' },
  },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
const { phase: only } = values;
if (!(Number.isInteger(kills) && kills > 0 && Number.isInteger(seed)))
  refuse('--kills and --seed take numbers');
if (only !== undefined && !(only in PHASES))
  refuse(`'${only}' is no phase; these are: ${Object.keys(PHASES).join(', ')}`);
const phases = Object.entries(PHASES).filter(([name]) => only === undefined || name === only);
const sum = { kills: 0, confirmed: 0, handled: 0, repeated: 0, lost: 0, resurrected: 0 };
const started = performance.now();

for (const [i, [name, phase]] of phases.entries()) {
  const result = await run(name, phase, share(i));
  if (result === undefined || !('kills' in result)) continue;
  for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += result[key];
}
print('all', sum, started);

function refuse(why: string): never {
  console.error(`${why}.`);
  process.exit(1);
}

/** Every phase has its part, and at least one. */
function share(index: number): number {
  return Math.max(1, Math.floor((kills + phases.length - 1 - index) / phases.length));
}

/** A phase that breaks off fails the run, but not the phases after it. */
async function run(name: string, phase: Phase, count: number): Promise<PhaseResult | Skipped | undefined> {
  const from = performance.now();
  try {
    const result = await phase(count, seed);
    print(name, result, from);
    if (!isGood(result)) process.exitCode = 1;
    return result;
  } catch (error) {
    console.error(`phase ${name}, seed ${seed}:`, error);
    process.exitCode = 1;
    return undefined;
  }
}

/** Where everything is expected to be at hand, a phase that is skipped has failed. */
function isGood(result: PhaseResult | Skipped): boolean {
  return 'skipped' in result ? process.env['CI'] !== 'true' : isClean(result);
}

function print(phase: string, result: object, from: number): void {
  const seconds = Math.round(performance.now() - from) / 1000;
  console.log(JSON.stringify({ scenario: 'crash', phase, seed, ...result, seconds }));
}
