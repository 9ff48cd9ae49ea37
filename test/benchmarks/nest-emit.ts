import { type BenchmarkRun, median, rounded, secondsOf } from './figure.js';
import { type Contestant, handled, nullContestant } from './nest-contestants.js';
import { NEST_RMQ, printRatios, withEveryHome } from './nest-homes.js';

/** Events that are emitted and not yet both confirmed and handled. */
const IN_FLIGHT = 500;
/** A realistic order, about 300 bytes of JSON. */
const EVENT = {
  id: 'ord-000123',
  customer: { name: 'Ada Lovelace', email: 'ada@example.org', country: 'GB' },
  lines: [
    { sku: 'BOOK-17', name: 'Notes on the Analytical Engine', quantity: 1, unitPriceCents: 2450 },
    { sku: 'PEN-03', name: 'Steel pen', quantity: 4, unitPriceCents: 120 },
  ],
  placedAt: '2026-01-15T10:20:30.000Z',
};
const COUNT = 10_000;
/** Those that are in this process are as many times faster. */
const COUNT_IN_PROCESS = 40_000;

/**
 * Nest `emit` until handled and settled, 500 in flight: on `file:` (confirmed after fdatasync) and by `amqp:`, against a
 * transport that calls the handler directly, and against Nest's RMQ transport (durable queue, persistent messages,
 * manual ack). Rounds alternate; ratios are of medians.
 */
export async function nestEmit({ smoke, print }: BenchmarkRun): Promise<void> {
  const race = async (contestants: readonly Contestant[]): Promise<void> => {
    const rates = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
    for (const one of contestants) await emitAndHandle(one, smoke ? 200 : 5000);
    for (let round = 0; round < (smoke ? 1 : 7); round++) {
      for (const one of contestants) {
        const { name } = one;
        const count = smoke ? 500 : / on /.test(name) ? COUNT : COUNT_IN_PROCESS;
        const seconds = await secondsOf(() => emitAndHandle(one, count));
        rates.get(name)?.push(count / seconds);
      }
    }
    const medians = new Map([...rates].map(([name, values]) => [name, median(values)]));
    for (const [transport, rate] of medians)
      print({ scenario: 'nest-emit', transport, messagesPerSecond: rounded(rate) });
    printRatios('nest-emit', medians, ['null', NEST_RMQ], print);
  };
  await withEveryHome(race, print, [await nullContestant()]);
}

/** Resolves when `count` events have been confirmed and handled. */
function emitAndHandle(contestant: Contestant, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent = 0;
    let confirmed = 0;
    let done = 0;
    const next = (): void => {
      if (confirmed === count && done === count) return resolve();
      while (sent < count && sent - Math.min(confirmed, done) < IN_FLIGHT) {
        sent++;
        contestant.emit(EVENT).subscribe({ complete: onConfirmed, error: reject });
      }
      return undefined;
    };
    const onConfirmed = (): void => {
      confirmed++;
      next();
    };
    handled.do = () => {
      done++;
      next();
    };
    next();
  });
}
