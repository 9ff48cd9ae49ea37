import { openBroker } from '@nestmq/broker';
import { open, type RootDatabaseOptions } from 'lmdb';
import { type BenchmarkRun, rounded } from './figure.js';
import { type Contestant, medianRates } from './race.js';
import { inDirectory, messageTo, Traffic } from './traffic.js';

const SIZES = [256, 1024];
/** Messages that are put and not yet durable, got and removed. */
const IN_FLIGHT = 1000;

/**
 * The ways of lmdb-js to tell that a put is on the disk. Without overlapping sync, LMDB's own way, a put resolves
 * after its commit's fdatasync and the durable write of the page that makes it valid. With it, lmdb-js's default on
 * Linux and macOS, a put may resolve before that, and its `flushed` tells.
 */
const LMDB_MODES: Record<string, RootDatabaseOptions> = {
  'lmdb, overlappingSync: false': { overlappingSync: false },
  'lmdb, overlappingSync: true': { overlappingSync: true, separateFlushed: true },
};

/**
 * A message's way through the engine on a real directory (published, confirmed after its fdatasync, delivered, acked;
 * persistent, one durable queue, one consumer), against LMDB: the same bytes put under a growing number, and, when the
 * put is on the disk, got and removed. 1,000 in flight each; what is removed or acked is waited for at a round's end
 * only. The ratio is of medians of messages a second, to the faster of LMDB's modes.
 */
export async function engineLmdb({ smoke, print }: BenchmarkRun): Promise<void> {
  for (const bodyBytes of SIZES) {
    const { names, rates } = await race(bodyBytes, smoke);
    for (const [at, store] of names.entries()) {
      const messagesPerSecond = rounded(rates[at] as number);
      print({ scenario: 'engine-lmdb', bodyBytes, store, messagesPerSecond });
    }
    const [engine = 0, ...lmdb] = rates;
    print({
      scenario: 'engine-lmdb',
      bodyBytes,
      ratio: 'nestmq / lmdb',
      value: rounded(engine / Math.max(...lmdb), 2),
      goal: 'at least 1.5',
    });
  }
}

function race(bodyBytes: number, smoke: boolean): Promise<{ names: string[]; rates: number[] }> {
  const effort = smoke ? { rounds: 1, messages: 2000 } : { rounds: 7, messages: 100_000 };
  return inDirectory(async (directory) => {
    const contestants = [
      await engineContestant(`${directory}/engine`, bodyBytes),
      ...Object.entries(LMDB_MODES).map(([name, options], at) =>
        lmdbContestant(name, { ...options, path: `${directory}/lmdb-${at}` }, bodyBytes),
      ),
    ];
    try {
      const rates = await medianRates(contestants, effort);
      return { names: contestants.map(({ name }) => name), rates };
    } finally {
      for (const contestant of contestants) await contestant.close();
    }
  });
}

type Closable = Contestant & { readonly close: () => Promise<void> };

async function engineContestant(directory: string, bodyBytes: number): Promise<Closable> {
  const broker = await openBroker({ directory });
  const connection = broker.connect();
  await connection.declareQueue('q');
  const traffic = new Traffic(connection, IN_FLIGHT);
  traffic.consume('q');
  return {
    name: 'nestmq',
    run: (messages) => traffic.roundTrips(messages, () => messageTo('q', bodyBytes)),
    close: () => broker.close(),
  };
}

function lmdbContestant(
  name: string,
  options: RootDatabaseOptions & { path: string },
  bodyBytes: number,
): Closable {
  const database = open<Buffer, number>({ ...options, encoding: 'binary' });
  let nextKey = 0;

  const trip = async (): Promise<void> => {
    const key = nextKey++;
    const put: Promise<boolean> & { flushed?: Promise<unknown> } = database.put(
      key,
      messageTo('q', bodyBytes).body,
    );
    await (put.flushed ?? put);
    if (database.get(key)?.length !== bodyBytes) throw new Error(`LMDB lost the value of ${key}.`);
    void database.remove(key);
  };

  const run = async (messages: number): Promise<void> => {
    await new Promise<void>((resolve, reject) => {
      let sent = 0;
      let done = 0;
      const fill = (): void => {
        while (sent < messages && sent - done < IN_FLIGHT) {
          sent++;
          trip().then(onDone, reject);
        }
      };
      const onDone = (): void => {
        done++;
        if (done === messages) resolve();
        else fill();
      };
      fill();
    });
    await database.flushed;
  };
  return { name, run, close: () => database.close() };
}
