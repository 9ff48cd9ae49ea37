/** One line of a benchmark's output: what was measured, its value and unit. */
export interface Figure {
  readonly scenario: string;
  readonly [name: string]: string | number | boolean;
}

/** What the command line asks for beside the names of scenarios; each scenario has its own defaults. */
export interface BenchmarkOptions {
  /** Length of the backlog, in messages. */
  readonly messages?: number;
  /** Traffic that goes by a stuck message, in GiB. */
  readonly gib?: number;
  /** Body of a message of that traffic, in bytes. */
  readonly bodyBytes?: number;
  /** How long each contestant of the open loop, or each round of the AMQP servers, is measured, in seconds. */
  readonly seconds?: number;
  /** Only the cases of a scenario whose names have this. */
  readonly only?: string;
}

export interface BenchmarkRun {
  /** Few, quick rounds: only to show that it still works. */
  readonly smoke: boolean;
  readonly options: BenchmarkOptions;
  readonly print: (figure: Figure) => void;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Seconds that `work` takes. */
export async function secondsOf(work: () => Promise<void>): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

export function rounded(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}

export function mib(bytes: number): number {
  return rounded(bytes / 2 ** 20, 2);
}
