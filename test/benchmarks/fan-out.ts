import { openBroker } from '@nestmq/broker';
import { counting } from './counting-file-system.js';
import { type BenchmarkRun, rounded } from './figure.js';
import { inDirectory, messageTo, Traffic } from './traffic.js';

const SIZES = [1024, 16 * 1024];
const QUEUES = 100;
const IN_FLIGHT = 1000;

/** Bytes written for one message, on average. */
interface Cost {
  readonly published: number;
  readonly settled: number;
}

/**
 * What the broker writes to its directory for a message that a fanout exchange routes to 100 durable queues, and to
 * one: every byte that it gives to the system to write, whichever file, as a multiple of the body. Publishes with
 * confirm first, 1,000 in flight, with no consumer; then, counted on, each queue's messages are consumed and acked.
 * Declarations are not counted. These are counts of bytes, not times: one round tells.
 */
export async function fanOut({ smoke, print }: BenchmarkRun): Promise<void> {
  const messages = smoke ? 100 : 2000;
  for (const bodyBytes of SIZES) {
    const wide = await measure({ queues: QUEUES, bodyBytes, messages });
    const narrow = await measure({ queues: 1, bodyBytes, messages });
    for (const [queues, cost] of [
      [QUEUES, wide],
      [1, narrow],
    ] as const) {
      print({
        scenario: 'fan-out',
        queues,
        bodyBytes,
        publishBytesPerMessage: rounded(cost.published, 1),
        publishMultipleOfBody: rounded(cost.published / bodyBytes, 3),
        settledMultipleOfBody: rounded(cost.settled / bodyBytes, 3),
      });
    }
    print({
      scenario: 'fan-out',
      bodyBytes,
      ratio: `bytes written to publish, ${QUEUES} queues / 1 queue`,
      value: rounded(wide.published / narrow.published, 2),
    });
  }
}

function measure(what: {
  readonly queues: number;
  readonly bodyBytes: number;
  readonly messages: number;
}): Promise<Cost> {
  const { queues, bodyBytes, messages } = what;
  return inDirectory(async (directory) => {
    const written = { bytes: 0 };
    const broker = await openBroker({ directory, fileSystem: counting(written) });
    try {
      const connection = broker.connect();
      const names = Array.from({ length: queues }, (_, at) => `q${at}`);
      await connection.declareExchange('fan', { type: 'fanout' });
      await Promise.all(names.map((name) => connection.declareQueue(name)));
      await Promise.all(names.map((name) => connection.bindQueue(name, 'fan', '')));
      const traffic = new Traffic(connection, IN_FLIGHT);
      written.bytes = 0;
      await traffic.publish(messages, () => ({ ...messageTo('', bodyBytes), exchange: 'fan' }));
      const published = written.bytes / messages;
      const acked = traffic.acked(messages * queues);
      for (const name of names) traffic.consume(name);
      await acked;
      return { published, settled: written.bytes / messages };
    } finally {
      await broker.close();
    }
  });
}
