import { readdirSync, statSync } from 'node:fs';
import { type Broker, type Connection, type Delivery, openBroker } from '@nestmq/broker';
import { type BenchmarkRun, mib, rounded, secondsOf } from './figure.js';
import { inDirectory, messageTo, Traffic } from './traffic.js';

const IN_FLIGHT = 64;
const SEGMENT_BYTES_MAX = 64 * 1024 * 1024;
const SMOKE_SEGMENT_BYTES_MAX = 1024 * 1024;
/** Moments at which the directory is looked at, and of these so many are printed. */
const LOOKS = 400;
const LOOKS_PRINTED = 20;

interface Look {
  readonly passedBytes: number;
  readonly diskBytes: number;
  /** Bodies of the stuck message and of those in flight at this moment. */
  readonly liveBytes: number;
  /** Twice what is alive, and two segments. */
  readonly limitBytes: number;
}

/**
 * One message stays in a consumer's hands while traffic goes by through another queue: published, confirmed, delivered
 * and acked at once, 64 in flight. The sizes of all files in the directory are summed up at 400 moments, in the middle
 * of the traffic, and held against twice what is alive and two segments (J7). What is alive is counted as bodies: the
 * stuck one, and those in flight at that moment.
 */
export async function stuck({ smoke, options, print }: BenchmarkRun): Promise<void> {
  const { gib = smoke ? 8 / 1024 : 10, bodyBytes = 16 * 1024 } = options;
  const segmentBytesMax = smoke ? SMOKE_SEGMENT_BYTES_MAX : SEGMENT_BYTES_MAX;
  const messages = Math.ceil((gib * 2 ** 30) / bodyBytes);
  await inDirectory(async (directory) => {
    const broker = await openBroker({ directory, segmentBytesMax });
    try {
      const looks: Look[] = [];
      const seconds = await trafficBesides(broker, { bodyBytes, messages }, (sent, liveBytes) => {
        const limitBytes = 2 * liveBytes + 2 * segmentBytesMax;
        looks.push({
          passedBytes: sent * bodyBytes,
          diskBytes: diskBytes(directory),
          liveBytes,
          limitBytes,
        });
        if (looks.length % (LOOKS / LOOKS_PRINTED) === 0) printLook(print, looks.at(-1) as Look);
      });
      printSummary(print, looks, (messages * bodyBytes) / seconds);
    } finally {
      await broker.close();
    }
  });
}

/** Resolves with the seconds that the traffic took. `look` is told how many messages were sent, and what is alive. */
async function trafficBesides(
  broker: Broker,
  { bodyBytes, messages }: { readonly bodyBytes: number; readonly messages: number },
  look: (sent: number, liveBytes: number) => void,
): Promise<number> {
  const connection = broker.connect();
  for (const queue of ['stuck', 'busy']) await connection.declareQueue(queue);
  connection.publish(messageTo('stuck', bodyBytes));
  const held = await firstOf(connection, 'stuck');
  const traffic = new Traffic(connection, IN_FLIGHT);
  traffic.consume('busy');
  const every = Math.ceil(messages / LOOKS);
  const seconds = await secondsOf(() =>
    traffic.roundTrips(messages, (at) => {
      if (at % every === every - 1) look(at + 1, (1 + traffic.underWay) * bodyBytes);
      return messageTo('busy', bodyBytes);
    }),
  );
  if (held.settled || held.message.body.length !== bodyBytes) throw new Error('the stuck message is lost');
  return seconds;
}

/** The first message of a queue; it and what comes after it stay unsettled. */
function firstOf(connection: Connection, queue: string): Promise<Delivery> {
  return new Promise((resolve) => {
    connection.consume(queue, { onDelivery: resolve });
  });
}

/** The sum of the sizes of all files in a directory, and below it. A file that goes meanwhile takes nothing. */
function diskBytes(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(`${directory}/${name}`, { throwIfNoEntry: false }))
    .reduce((bytes, stats) => bytes + (stats?.isFile() === true ? stats.size : 0), 0);
}

function printLook(print: BenchmarkRun['print'], look: Look): void {
  print({
    scenario: 'stuck',
    passedGiB: rounded(look.passedBytes / 2 ** 30, 3),
    diskMiB: mib(look.diskBytes),
    liveMiB: mib(look.liveBytes),
    limitMiB: mib(look.limitBytes),
  });
}

function printSummary(print: BenchmarkRun['print'], looks: readonly Look[], bytesPerSecond: number): void {
  print({
    scenario: 'stuck',
    looks: looks.length,
    diskMaxMiB: mib(Math.max(...looks.map((look) => look.diskBytes))),
    trafficMiBPerSecond: mib(bytesPerSecond),
  });
  print({
    scenario: 'stuck',
    ratio: 'disk / (2 x live bytes + 2 segments), at most at any moment',
    value: rounded(Math.max(...looks.map((look) => look.diskBytes / look.limitBytes)), 2),
    goal: 'at most 1',
  });
}
