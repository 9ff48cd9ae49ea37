import { openBroker } from '@nestmq/broker';
import { type BenchmarkRun, rounded } from './figure.js';
import { type Contestant, medianRates } from './race.js';
import { inDirectory, messageTo, Traffic } from './traffic.js';

const QUEUES = 10_000;
const BODY_BYTES = 256;
/** Messages that are published and not yet both confirmed and acked. */
const IN_FLIGHT = 1000;

/**
 * Messages of 256 B spread over 10,000 durable queues in turn, through the default exchange, against the same number
 * through one queue: published, confirmed, delivered and acked, 1,000 in flight, each queue with a consumer of its own.
 * Two brokers in one process, each on a directory of its own. The ratio is of medians of messages a second.
 */
export async function queues({ smoke, print }: BenchmarkRun): Promise<void> {
  const counts = [smoke ? 200 : QUEUES, 1];
  const effort = smoke ? { rounds: 1, messages: 2000 } : { rounds: 7, messages: 100_000 };
  const [many = 0, one = 0] = await inDirectory(async (directory) => {
    const contestants = [];
    for (const count of counts) contestants.push(await contestant(`${directory}/${count}`, count));
    try {
      return await medianRates(contestants, effort);
    } finally {
      for (const { close } of contestants) await close();
    }
  });
  print({ scenario: 'queues', queues: counts[0] as number, messagesPerSecond: rounded(many) });
  print({ scenario: 'queues', queues: 1, messagesPerSecond: rounded(one) });
  print({
    scenario: 'queues',
    ratio: `${counts[0]} queues / 1 queue`,
    value: rounded(many / one, 2),
    goal: 'at least 0.8',
  });
}

async function contestant(
  directory: string,
  count: number,
): Promise<Contestant & { readonly close: () => Promise<void> }> {
  const broker = await openBroker({ directory });
  const connection = broker.connect();
  const names = Array.from({ length: count }, (_, at) => `q${at}`);
  await Promise.all(names.map((name) => connection.declareQueue(name)));
  const traffic = new Traffic(connection, IN_FLIGHT);
  for (const name of names) traffic.consume(name);
  return {
    name: `${count} queues`,
    run: (messages) =>
      traffic.roundTrips(messages, (at) => messageTo(names[at % count] as string, BODY_BYTES)),
    close: () => broker.close(),
  };
}
