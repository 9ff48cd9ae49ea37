import 'reflect-metadata';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import type { BenchmarkRun } from './figure.js';
import { journal } from './journal.js';
import { nestEmit } from './nest-emit.js';

const SCENARIOS: Record<string, (run: BenchmarkRun) => Promise<void>> = { journal, 'nest-emit': nestEmit };

const { values, positionals } = parseArgs({
  options: { smoke: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const names = positionals.length === 0 ? Object.keys(SCENARIOS) : positionals;
const print: BenchmarkRun['print'] = (figure) => console.log(JSON.stringify(figure));

print({
  scenario: 'machine',
  node: process.version,
  cpus: cpus().length,
  cpu: cpus()[0]?.model ?? '',
  smoke: values.smoke,
});
for (const name of names) {
  const scenario = SCENARIOS[name];
  if (scenario === undefined)
    throw new Error(`There is no scenario '${name}'. Scenarios are: ${Object.keys(SCENARIOS).join(', ')}.`);
  await scenario({ smoke: values.smoke, print });
}
