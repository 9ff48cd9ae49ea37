import { nodeFileSystem, openBroker } from '@nestmq/broker';
import { counting } from './counting-file-system.js';
import { type BenchmarkRun, median, rounded } from './figure.js';
import { inDirectory, messageTo } from './traffic.js';

const BODY_BYTES = 256;
const PER_SECOND = 1000;
const ROUNDS = 5;

interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Starts one message; calls back when it is on the disk. */
type Send = (onDurable: (error?: Error) => void) => void;

/**
 * From the moment when a message is due to its confirm, at 1,000 messages of 256 B a second whatever the confirms do (an
 * open loop), against a bare file: as many bytes a message as the broker wrote for one, all that is due and not yet
 * written in one write and then an fdatasync. Rounds of the two alternate in one run and directory; p50 and p99 are
 * medians of the rounds' values, max is that of all. Milliseconds.
 */
export async function confirmLatency({ smoke, options, print }: BenchmarkRun): Promise<void> {
  const rounds = smoke ? 1 : ROUNDS;
  const count = Math.ceil(((options.seconds ?? (smoke ? 1 : 10)) * PER_SECOND) / rounds);
  const engine: Latency[] = [];
  const bare: Latency[] = [];
  for (let round = 0; round < rounds; round++) {
    const { latency, bytesPerMessage } = await inDirectory((directory) => engineRound(directory, count));
    engine.push(latency);
    bare.push(await inDirectory((directory) => bareRound(directory, count, bytesPerMessage)));
  }
  const [ours, theirs] = [summary(engine), summary(bare)];
  for (const [store, { p50, p99, max }] of [
    ['nestmq', ours],
    ['bare write+fdatasync', theirs],
  ] as const) {
    print({
      scenario: 'confirm-latency',
      store,
      p50Ms: rounded(p50, 3),
      p99Ms: rounded(p99, 3),
      maxMs: rounded(max, 3),
    });
  }
  for (const percentile of ['p50', 'p99'] as const) {
    print({
      scenario: 'confirm-latency',
      ratio: `${percentile}: nestmq / bare write+fdatasync`,
      value: rounded(ours[percentile] / theirs[percentile], 2),
    });
  }
}

async function engineRound(
  directory: string,
  count: number,
): Promise<{ latency: Latency; bytesPerMessage: number }> {
  const written = { bytes: 0 };
  const broker = await openBroker({ directory, fileSystem: counting(written) });
  try {
    const connection = broker.connect();
    await connection.declareQueue('q');
    written.bytes = 0;
    const latency = await openLoop(count, (onDurable) => {
      connection.publish(messageTo('q', BODY_BYTES), onDurable);
    });
    return { latency, bytesPerMessage: Math.ceil(written.bytes / count) };
  } finally {
    await broker.close();
  }
}

async function bareRound(directory: string, count: number, bytesPerMessage: number): Promise<Latency> {
  const file = await nodeFileSystem.open(`${directory}/bare`, 'create');
  try {
    const bytes = Buffer.alloc(count * bytesPerMessage, 'x');
    let waiting: Parameters<Send>[0][] = [];
    let position = 0;
    let writing: Promise<void> | undefined;
    const writeAll = async (): Promise<void> => {
      while (waiting.length > 0) {
        const told = waiting;
        waiting = [];
        const size = told.length * bytesPerMessage;
        await file.write(bytes.subarray(0, size), position);
        await file.sync();
        position += size;
        for (const onDurable of told) onDurable();
      }
      writing = undefined;
    };
    return await openLoop(count, (onDurable) => {
      waiting.push(onDurable);
      writing ??= writeAll();
    });
  } finally {
    await file.close();
  }
}

/**
 * Looks at the time in every turn of the event loop, so that a message starts when it is due: a timer would add up to a
 * millisecond of its own to both.
 */
function openLoop(count: number, send: Send): Promise<Latency> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const latencies: number[] = [];
    let sent = 0;
    const turn = (): void => {
      const now = performance.now();
      while (sent < count && start + sent * (1000 / PER_SECOND) <= now) {
        const due = start + sent * (1000 / PER_SECOND);
        sent++;
        send((error) => {
          if (error !== undefined) return reject(error);
          latencies.push(performance.now() - due);
          return latencies.length === count ? resolve(percentiles(latencies)) : undefined;
        });
      }
      if (sent < count) setImmediate(turn);
    };
    turn();
  });
}

function percentiles(values: readonly number[]): Latency {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] as number;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function summary(rounds: readonly Latency[]): Latency {
  return {
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    max: Math.max(...rounds.map(({ max }) => max)),
  };
}
