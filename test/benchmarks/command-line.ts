import { parseArgs } from 'node:util';
import type { BenchmarkOptions } from './figure.js';

export interface CommandLine {
  /** Scenarios to run; none stands for all. */
  readonly names: readonly string[];
  readonly smoke: boolean;
  readonly options: BenchmarkOptions;
}

const NUMBERS: readonly [string, keyof BenchmarkOptions][] = [
  ['messages', 'messages'],
  ['gib', 'gib'],
  ['body-bytes', 'bodyBytes'],
  ['seconds', 'seconds'],
];

/** Throws for an option that there is not, and for a number that is none or not above 0. */
export function readCommandLine(): CommandLine {
  const { values, positionals } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      messages: { type: 'string' },
      gib: { type: 'string' },
      'body-bytes': { type: 'string' },
      seconds: { type: 'string' },
      only: { type: 'string' },
    },
    allowPositionals: true,
  });
  const texts: Record<string, unknown> = values;
  const given = NUMBERS.filter(([name]) => texts[name] !== undefined);
  return {
    names: positionals,
    smoke: values.smoke,
    options: {
      ...Object.fromEntries(given.map(([name, key]) => [key, positive(name, Number(texts[name]))])),
      ...(values.only === undefined ? {} : { only: values.only }),
    },
  };
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value;
  throw new Error(`--${name} needs a number above 0.`);
}
