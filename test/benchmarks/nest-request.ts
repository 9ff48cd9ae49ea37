import { lastValueFrom } from 'rxjs';
import { type BenchmarkRun, median, rounded, secondsOf } from './figure.js';
import type { Contestant } from './nest-contestants.js';
import { NEST_RMQ, printRatios, withEveryHome } from './nest-homes.js';

const IN_FLIGHT = 100;
const REQUEST = { id: 'ord-000123', sku: 'BOOK-17', quantity: 2 };

/**
 * Nest `send` until the answer is there: as many as go with 100 in flight, and how long one takes when it is alone.
 * Rounds alternate; figures are medians of the rounds.
 */
export async function nestRequest({ smoke, print }: BenchmarkRun): Promise<void> {
  const race = async (contestants: readonly Contestant[]): Promise<void> => {
    const rates = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
    const alone = new Map<string, number[][]>(contestants.map(({ name }) => [name, []]));
    for (const one of contestants) await sendMany(one, smoke ? 100 : 2000);
    for (let round = 0; round < (smoke ? 1 : 5); round++) {
      for (const one of contestants) {
        const { name } = one;
        const count = smoke ? 200 : 5000;
        const seconds = await secondsOf(() => sendMany(one, count));
        rates.get(name)?.push(count / seconds);
        alone.get(name)?.push(await latencies(one, smoke ? 50 : 500));
      }
    }
    const medians = new Map([...rates].map(([name, values]) => [name, median(values)]));
    for (const [transport, rate] of medians) {
      const rounds = alone.get(transport) as number[][];
      const percentile = (part: number): number =>
        rounded(median(rounds.map((sorted) => sorted[Math.floor(sorted.length * part)] as number)), 3);
      print({
        scenario: 'nest-request',
        transport,
        requestsPerSecond: rounded(rate),
        p50Ms: percentile(0.5),
        p99Ms: percentile(0.99),
      });
    }
    printRatios('nest-request', medians, [NEST_RMQ], print);
  };
  await withEveryHome(race, print);
}

/** Resolves when `count` requests have been answered. */
async function sendMany(contestant: Contestant, count: number): Promise<void> {
  let sent = 0;
  const worker = async (): Promise<void> => {
    while (sent++ < count) await lastValueFrom(contestant.send(REQUEST));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
}

/** Milliseconds of each of `count` requests one after the other, the shortest first. */
async function latencies(contestant: Contestant, count: number): Promise<number[]> {
  const taken: number[] = [];
  for (let i = 0; i < count; i++) {
    const seconds = await secondsOf(async () => {
      await lastValueFrom(contestant.send(REQUEST));
    });
    taken.push(seconds * 1000);
  }
  return taken.toSorted((a, b) => a - b);
}
