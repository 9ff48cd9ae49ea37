import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { durable, JOURNAL, journalOn, persistent, rowsOf } from './journal-model.spec.support.js';
import { UNMARKED } from './random-mark.spec.support.js';
import type { JournalStore } from './journal-store.js';
import type { Marks, QueueMark } from './message-store.js';
import { SimulatedFileSystem, systemError } from './simulated-file-system.js';

const EXPIRING: QueueMark = { expiresAt: 1_800_000_000_000, readyAt: 0, priority: 0 };
const DELAYED: QueueMark = { expiresAt: 0, readyAt: 1_900_000_000_000, priority: 0 };
const URGENT: QueueMark = { expiresAt: 0, readyAt: 0, priority: 9 };

async function opened(files = new SimulatedFileSystem()): Promise<JournalStore> {
  const store = journalOn(files);
  await store.open();
  return store;
}

/** The marks in each queue that another opening finds, in order. */
async function found(files: SimulatedFileSystem): Promise<Record<number, QueueMark[]>> {
  const store = journalOn(files);
  const { entries } = await store.open();
  await store.close();
  return Object.fromEntries([...entries].map(([id, rows]) => [id, rowsOf(rows).map(({ mark }) => mark)]));
}

describe('J3 the marks of messages', () => {
  it('are found again as they were published, moved or transacted, for each queue its own', async () => {
    const files = new SimulatedFileSystem();
    const store = await opened(files);
    store.publish(persistent('a'), [1, 2, 3], 0, [EXPIRING, undefined, URGENT]);
    const message = persistent('b');
    const moved = store.publish(message, [1], 0, [DELAYED]);
    store.move({ queueId: 1, ...moved, message }, message, [2], 0, [URGENT]);
    const publication = { message: persistent('c'), journaledQueueIds: [2, 3], otherQueues: 1 };
    store.transact([{ ...publication, marks: [DELAYED, undefined] }, publication], []);
    await store.close();
    expect(await found(files)).toEqual({
      1: [EXPIRING],
      2: [UNMARKED, URGENT, DELAYED, UNMARKED],
      3: [URGENT, UNMARKED, UNMARKED],
    });
  });

  it('have the time of the last requeue, also when that is none', async () => {
    const files = new SimulatedFileSystem();
    const store = await opened(files);
    const mark = { expiresAt: 7, readyAt: 5, priority: 1 };
    for (const body of ['not requeued', 'delayed', 'delayed, then not', 'not counted']) {
      store.publish(persistent(body), [1], 0, [mark]);
    }
    await durable(store);
    const requeue = (sequence: number, count: number, readyAt?: number): void =>
      store.requeue(1, sequence, 1, count, readyAt);
    requeue(2, 1, 50);
    requeue(3, 1, 50);
    requeue(3, 2);
    requeue(4, 0, 60);
    await store.close();
    const expected = [5, 50, 0, 60].map((readyAt) => ({ expiresAt: 7, readyAt, priority: 1 }));
    expect((await found(files))[1]).toEqual(expected);
  });

  it('have the time of a requeue that came while the disk had failed', async () => {
    const files = new SimulatedFileSystem();
    const clock = new ManualClock();
    const store = journalOn(files, { clock });
    await store.open();
    const { sequence, position } = store.publish(persistent('a'), [1], 0, [URGENT]);
    await durable(store);
    files.fault = (operation, path) => (operation === 'write' ? systemError('EIO', path) : undefined);
    store.define('"k"', 1);
    await expect(durable(store)).rejects.toThrow('EIO');
    store.requeue(1, sequence, position, 1, 7);
    store.requeue(1, sequence, position, 2, 8);
    files.fault = undefined;
    clock.advance(1000);
    while (store.failure !== undefined) await new Promise(setImmediate);
    await store.close();
    expect((await found(files))[1]).toEqual([{ ...URGENT, readyAt: 8 }]);
  });

  it('refuse a time that no record can hold', async () => {
    const store = await opened();
    const { sequence, position } = store.publish(persistent('a'), [1], 0);
    expect(() => store.requeue(1, sequence, position, 1, -5)).toThrow("can't be stored");
    await store.close();
  });

  it('cost nothing where there are none', async () => {
    const bytesWith = async (marks?: Marks): Promise<number> => {
      const files = new SimulatedFileSystem();
      const store = await opened(files);
      store.publish(persistent('a'), [1, 2], 0, marks);
      await store.close();
      return files.readNow(`${JOURNAL}/0000000001.segment`).length;
    };
    const bytes = await bytesWith();
    expect(await bytesWith([undefined, UNMARKED])).toBe(bytes);
    expect(await bytesWith([undefined, URGENT])).toBe(bytes + 21);
  });
});
