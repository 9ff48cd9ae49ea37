import { type BenchmarkRun, median, mib, rounded, secondsOf } from './figure.js';
import { fullScan, segmentBytes, segmentPaths } from './full-scan.js';
import { RemoteBroker } from './remote-broker.js';
import { inDirectory } from './traffic.js';

const MESSAGES = 10_000_000;
const SMOKE_MESSAGES = 20_000;
/** The backlog is published in so many parts of the same size; the first and the last few are compared. */
const PARTS = 20;
const PARTS_COMPARED = 3;
const OPENINGS = 3;
const BODY_BYTES = 256;
const DEEP = 'backlog';
const SMALL = 'small';

interface Plan {
  readonly messages: number;
  /** Published before the memory's baseline: they fill the cache of bodies, which is a budget and no growth. */
  readonly warmUp: number;
  readonly rounds: number;
  readonly perRound: number;
  readonly broker: { readonly segmentBytesMax: number; readonly cacheBytesMax: number };
}

/**
 * A backlog in one durable queue without a consumer, 10,000,000 messages of 256 B (`--messages`). Brokers have processes
 * of their own. Printed are:
 *
 * - the growth of the resident memory for each message of the backlog, garbage collected before and after;
 * - rates of publishing while the backlog grows: medians of the first three and the last three of 20 parts;
 * - rates at that depth against those of an empty broker in another process, rounds alternating: publishing to the
 *   backlog, round trips (publish, confirm, deliver, ack; 1,000 in flight) through another queue, and through the
 *   backlog, whose consumer gets as many of the oldest messages, from the disk, as are published;
 * - the time of openBroker in a new process, against a read and CRC-32 of all segments, both with the files in the page
 *   cache, rounds alternating;
 * - the rate of draining it (prefetch 1,000, acked one by one) after that, and what then is left on the disk.
 */
export async function backlog(run: BenchmarkRun): Promise<void> {
  const plan = planOf(run);
  await inDirectory(async (directory) => {
    const expected = await withProcesses(2, async ([deep, empty]) => {
      await fill(deep as RemoteBroker, `${directory}/deep`, plan, run);
      await open(empty as RemoteBroker, `${directory}/empty`, plan);
      await compareRates(deep as RemoteBroker, empty as RemoteBroker, plan, run);
      const ready = await (deep as RemoteBroker).call('readyCount', DEEP);
      await (empty as RemoteBroker).call('close');
      const seconds = await (deep as RemoteBroker).call('close');
      run.print({ scenario: 'backlog', ready, closeSeconds: rounded(seconds, 3) });
      return ready;
    });
    await reopen(`${directory}/deep`, plan, run);
    await drain(`${directory}/deep`, plan, { ...run, expected });
  });
}

function planOf({ smoke, options }: BenchmarkRun): Plan {
  const messages = options.messages ?? (smoke ? SMOKE_MESSAGES : MESSAGES);
  const cacheBytesMax = (smoke ? 1 : 64) * 1024 * 1024;
  return {
    messages,
    // A cached message counts as more than its body of 256 B.
    warmUp: Math.ceil(cacheBytesMax / BODY_BYTES),
    rounds: smoke ? 1 : 5,
    perRound: Math.min(50_000, Math.ceil(messages / PARTS)),
    broker: { segmentBytesMax: cacheBytesMax, cacheBytesMax },
  };
}

function load(queue: string, count: number): { queue: string; count: number; bodyBytes: number } {
  return { queue, count, bodyBytes: BODY_BYTES };
}

async function withProcesses<R>(
  count: number,
  work: (brokers: readonly RemoteBroker[]) => Promise<R>,
): Promise<R> {
  const brokers = Array.from({ length: count }, () => new RemoteBroker());
  try {
    return await work(brokers);
  } finally {
    for (const broker of brokers) await broker.end();
  }
}

/** Opens a new broker and warms it up: everything that is measured later has run before. */
async function open(broker: RemoteBroker, directory: string, plan: Plan): Promise<void> {
  await broker.call('open', { directory, ...plan.broker });
  for (const queue of [DEEP, SMALL]) await broker.call('declare', queue);
  await broker.call('roundTrips', load(SMALL, plan.warmUp));
  await broker.call('publish', load(DEEP, plan.warmUp));
}

async function fill(broker: RemoteBroker, directory: string, plan: Plan, run: BenchmarkRun): Promise<void> {
  await open(broker, directory, plan);
  const before = await broker.call('memory');
  const rates: number[] = [];
  const count = Math.ceil(plan.messages / PARTS);
  for (let part = 0; part < PARTS; part++)
    rates.push(count / (await broker.call('publish', load(DEEP, count))));
  const after = await broker.call('memory');
  run.print({
    scenario: 'backlog',
    messages: count * PARTS,
    diskMiB: mib(segmentBytes(directory)),
    rssBeforeMiB: mib(before.rss),
    rssAfterMiB: mib(after.rss),
    rssBytesPerMessage: rounded((after.rss - before.rss) / (count * PARTS), 1),
    heapAndBuffersBytesPerMessage: rounded((after.known - before.known) / (count * PARTS), 1),
  });
  const first = median(rates.slice(0, PARTS_COMPARED));
  const last = median(rates.slice(-PARTS_COMPARED));
  run.print({
    scenario: 'backlog',
    firstPublishesPerSecond: rounded(first),
    lastPublishesPerSecond: rounded(last),
  });
  run.print({
    scenario: 'backlog',
    ratio: 'publishing: last parts / first parts',
    value: rounded(last / first, 2),
  });
}

async function compareRates(
  deep: RemoteBroker,
  empty: RemoteBroker,
  { rounds, perRound: count }: Plan,
  { print }: BenchmarkRun,
): Promise<void> {
  const measurements: Record<string, (broker: RemoteBroker) => Promise<number>> = {
    publishing: (broker) => broker.call('publish', load(DEEP, count)),
    'round trips, another queue': (broker) => broker.call('roundTrips', load(SMALL, count)),
    'round trips, the backlog': (broker) => broker.call('roundTrips', load(DEEP, count)),
  };
  for (const [what, measure] of Object.entries(measurements)) {
    const rates: [number[], number[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      await empty.call('purge', DEEP);
      rates[0].push(count / (await measure(deep)));
      rates[1].push(count / (await measure(empty)));
    }
    const [atDepth, whenEmpty] = rates.map(median) as [number, number];
    print({
      scenario: 'backlog',
      what,
      atDepthPerSecond: rounded(atDepth),
      emptyPerSecond: rounded(whenEmpty),
    });
    print({
      scenario: 'backlog',
      ratio: `${what}: at depth / empty`,
      value: rounded(atDepth / whenEmpty, 2),
    });
  }
}

async function reopen(directory: string, { rounds, broker }: Plan, { print }: BenchmarkRun): Promise<void> {
  const opens: number[] = [];
  const scans: number[] = [];
  await fullScan(directory);
  for (let round = 0; round < Math.min(rounds, OPENINGS); round++) {
    scans.push(await secondsOf(() => fullScan(directory)));
    await withProcesses(1, async ([process]) => {
      opens.push(await (process as RemoteBroker).call('open', { directory, ...broker }));
      await (process as RemoteBroker).call('close');
    });
  }
  print({
    scenario: 'backlog',
    openSeconds: rounded(median(opens), 3),
    fullScanSeconds: rounded(median(scans), 3),
    segments: segmentPaths(directory).length,
    diskMiB: mib(segmentBytes(directory)),
  });
  print({
    scenario: 'backlog',
    ratio: 'opening / full scan',
    value: rounded(median(opens) / median(scans), 3),
  });
}

async function drain(
  directory: string,
  { broker }: Plan,
  { print, expected }: BenchmarkRun & { readonly expected: number },
): Promise<void> {
  await withProcesses(1, async ([process]) => {
    const one = process as RemoteBroker;
    await one.call('open', { directory, ...broker });
    const { rss } = await one.call('memory');
    const found = await one.call('readyCount', DEEP);
    if (found !== expected) throw new Error(`of ${expected} messages ${found} are there after opening`);
    const seconds = await one.call('drain', DEEP);
    await one.call('close');
    print({ scenario: 'backlog', rssAfterOpeningMiB: mib(rss), drainedPerSecond: rounded(found / seconds) });
  });
  print({
    scenario: 'backlog',
    segmentsLeft: segmentPaths(directory).length,
    bytesLeft: segmentBytes(directory),
    goal: 'at most 2 segments',
  });
}
