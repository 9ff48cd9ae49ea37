import { TestBroker, type TestBrokerOptions } from '@nestmq/testing';
import { type BenchmarkRun, median, rounded, secondsOf } from './figure.js';

const ROUNDS = 100;

const CASES: readonly (readonly [name: string, options: TestBrokerOptions])[] = [
  ['embedded', {}],
  ['embedded, manual clock', { clock: 'manual' }],
  ['listening', { listen: true }],
];

/**
 * How long a test waits for its broker: from `TestBroker.start` to the broker that can be used, and for `stop` of one that
 * nobody uses. Medians of 100 rounds, milliseconds; the slowest round as well.
 */
export async function testBroker({ smoke, print }: BenchmarkRun): Promise<void> {
  const rounds = smoke ? 3 : ROUNDS;
  for (const [name, options] of CASES) {
    const starts: number[] = [];
    const stops: number[] = [];
    for (let round = 0; round < rounds; round++) {
      let broker: TestBroker | undefined;
      starts.push(
        await secondsOf(async () => {
          broker = await TestBroker.start(options);
        }),
      );
      stops.push(await secondsOf(async () => broker?.stop()));
    }
    print({ scenario: 'test-broker', case: name, ...summary('start', starts), ...summary('stop', stops) });
  }
}

function summary(what: string, seconds: readonly number[]): Record<string, number> {
  return {
    [`${what}MedianMs`]: rounded(median(seconds) * 1000, 3),
    [`${what}MaxMs`]: rounded(Math.max(...seconds) * 1000, 3),
  };
}
