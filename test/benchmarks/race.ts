import { median, secondsOf } from './figure.js';

export interface Contestant {
  readonly name: string;
  /** Resolves when so many messages are done with. */
  readonly run: (messages: number) => Promise<void>;
}

/**
 * The median rate of each contestant, in messages a second and in the contestants' order. Rounds alternate, after one
 * of half the size that is not counted.
 */
export async function medianRates(
  contestants: readonly Contestant[],
  { rounds, messages }: { readonly rounds: number; readonly messages: number },
): Promise<number[]> {
  const rates: number[][] = contestants.map(() => []);
  for (const { run } of contestants) await run(Math.ceil(messages / 2));
  for (let round = 0; round < rounds; round++) {
    for (const [at, { run }] of contestants.entries()) {
      rates[at]?.push(messages / (await secondsOf(() => run(messages))));
    }
  }
  return rates.map(median);
}
