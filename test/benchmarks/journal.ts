import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileSystem, JournalStore, nodeFileSystem, systemClock } from '@nestmq/broker';
import { type BenchmarkRun, median, rounded, secondsOf } from './figure.js';

const SIZES = [256, 1024, 16 * 1024];
/** Publishes that wait for their confirm. */
const IN_FLIGHT = 1000;

/**
 * Append with confirm to the journal, 1,000 in flight, against a bare loop that writes the same bytes in writes of
 * the same sizes to a file of its own, each followed by an fdatasync. The journal's writes are recorded, then played
 * back: same directory, same run, rounds alternate. The ratio is of medians of bytes a second.
 */
export async function journal({ smoke, print }: BenchmarkRun): Promise<void> {
  for (const size of SIZES) {
    const count = smoke ? 500 : Math.min(100_000, Math.floor((512 * 1024 * 1024) / (size + 4096)));
    const rounds = smoke ? 1 : 5;
    const journaled: number[] = [];
    const bare: number[] = [];
    let commits = 0;
    for (let round = 0; round < rounds; round++) {
      const recorded = await publishRound(size, count);
      const seconds = await bareRound(recorded.writes);
      const bytes = recorded.writes.reduce((a, b) => a + b, 0);
      journaled.push(bytes / recorded.seconds);
      bare.push(bytes / seconds);
      commits = recorded.writes.length;
      if (round === rounds - 1) {
        print({
          scenario: 'journal',
          bodyBytes: size,
          messagesPerSecond: rounded(count / recorded.seconds),
          messagesPerCommit: rounded(count / commits, 1),
        });
      }
    }
    print({
      scenario: 'journal',
      bodyBytes: size,
      journalMiBPerSecond: rounded(median(journaled) / 2 ** 20, 1),
      bareMiBPerSecond: rounded(median(bare) / 2 ** 20, 1),
    });
    print({
      scenario: 'journal',
      bodyBytes: size,
      ratio: 'journal / bare write+fdatasync',
      value: rounded(median(journaled) / median(bare), 2),
    });
  }
}

async function publishRound(size: number, count: number): Promise<{ seconds: number; writes: number[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-bench-'));
  const writes: number[] = [];
  const store = new JournalStore({
    directory,
    fileSystem: recording(writes),
    clock: systemClock,
    segmentBytesMax: 64 * 1024 * 1024,
    cacheBytesMax: 0,
    settlementDelayMs: 5,
    diskFreeBytesMin: 0,
    onFailure: (error) => {
      throw error;
    },
  });
  try {
    await store.open();
    const message = {
      exchange: '',
      routingKey: 'q',
      properties: { deliveryMode: 2 },
      body: Buffer.alloc(size, 'x'),
    };
    const publishAll = (): Promise<void> =>
      new Promise((resolve, reject) => {
        let sent = 0;
        let confirmed = 0;
        const onConfirm = (error?: Error): void => {
          if (error !== undefined) return reject(error);
          confirmed++;
          if (confirmed === count) return resolve();
          return fill();
        };
        const fill = (): void => {
          while (sent < count && sent - confirmed < IN_FLIGHT) {
            sent++;
            store.publish(message, [1], 0);
            store.whenDurable(onConfirm);
          }
        };
        fill();
      });
    const seconds = await secondsOf(publishAll);
    return { seconds, writes: [...writes] };
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function bareRound(writes: readonly number[]): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-bench-'));
  const file = await nodeFileSystem.open(`${directory}/bare`, 'create');
  try {
    const bytes = Buffer.alloc(Math.max(...writes), 'x');
    return await secondsOf(async () => {
      let position = 0;
      for (const size of writes) {
        await file.write(bytes.subarray(0, size), position);
        await file.sync();
        position += size;
      }
    });
  } finally {
    await file.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The system's files, with the size of each write to a segment noted in `writes`. */
function recording(writes: number[]): FileSystem {
  return {
    ...nodeFileSystem,
    async open(path, mode) {
      const file = await nodeFileSystem.open(path, mode);
      if (!path.endsWith('.segment')) return file;
      const write = file.writeDurably.bind(file);
      file.writeDurably = (bytes, position) => {
        writes.push(bytes.length);
        return write(bytes, position);
      };
      return file;
    },
  };
}
