import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { LIMITS } from '../limits.js';
import { GatedFileSystem } from './gated-file-system.spec.support.js';
import {
  durable,
  JOURNAL,
  type JournalSettings,
  journalOn,
  persistent,
  rowsOf,
} from './journal-model.spec.support.js';
import type { JournalStore } from './journal-store.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

async function open(
  settings: JournalSettings = {},
): Promise<{ store: JournalStore; files: GatedFileSystem; disk: SimulatedFileSystem }> {
  const disk = new SimulatedFileSystem();
  const files = new GatedFileSystem(disk);
  const store = journalOn(files, settings);
  await store.open();
  files.log.length = 0;
  return { store, files, disk };
}

/** What a power cut leaves that loses everything which it may lose. */
async function messagesAfterTheWorst(disk: SimulatedFileSystem): Promise<number> {
  const store = journalOn(disk.afterPowerCut(() => 0));
  const { entries } = await store.open();
  await store.close();
  return [...entries.values()].reduce((sum, { length }) => sum + length, 0);
}

describe('J1 a confirm', () => {
  it('does not come before the sync has returned', async () => {
    const { store, files, disk } = await open();
    const sync = files.hold('sync');
    let confirmed = false;
    store.publish(persistent('1'), [1], 0);
    store.whenDurable(() => (confirmed = true));
    await sync.reached;
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(confirmed).toBe(false);
    expect(await messagesAfterTheWorst(disk)).toBe(0);
    sync.open();
    await durable(store);
    expect(confirmed).toBe(true);
    expect(await messagesAfterTheWorst(disk)).toBe(1);
    await store.close();
  });

  it('does not come before the name of a new segment is on the disk', async () => {
    const { store, files, disk } = await open();
    store.publish(persistent(Buffer.alloc(4000)), [1], 0);
    await durable(store);
    const syncDirectory = files.hold('syncDirectory');
    let confirmed = false;
    store.publish(persistent(Buffer.alloc(4000)), [1], 0);
    store.whenDurable(() => (confirmed = true));
    await syncDirectory.reached;
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    expect(confirmed).toBe(false);
    expect(await messagesAfterTheWorst(disk)).toBe(1);
    syncDirectory.open();
    await durable(store);
    expect(await messagesAfterTheWorst(disk)).toBe(2);
    await store.close();
  });

  it('of a message published while a commit is written waits for the next one', async () => {
    const { store, files } = await open();
    const first = files.hold('sync');
    const order: string[] = [];
    store.publish(persistent('1'), [1], 0);
    store.whenDurable(() => order.push('first'));
    await first.reached;
    const second = files.hold('sync');
    store.publish(persistent('2'), [1], 0);
    store.whenDurable(() => order.push('second'));
    first.open();
    await second.reached;
    expect(order).toEqual(['first']);
    second.open();
    await durable(store);
    expect(order).toEqual(['first', 'second']);
    await store.close();
  });

  it('callbacks come in the order they were given, whatever they wait for', async () => {
    const { store } = await open();
    const order: number[] = [];
    const transient = { ...persistent('t'), properties: {} };
    for (let i = 0; i < 20; i++) {
      store.publish(i % 3 === 0 ? transient : persistent('p'), [1], 0);
      store.whenDurable(() => order.push(i));
      if (i % 5 === 0) await new Promise(setImmediate);
    }
    await durable(store);
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
    await store.close();
  });
});

describe('a commit', () => {
  it('is one write and one sync for all that was published in one turn', async () => {
    const { store, files } = await open({ segmentBytesMax: 1024 * 1024 });
    for (let i = 0; i < 500; i++) store.publish(persistent(`${i}`), [1, 2, 3], 0);
    await durable(store);
    expect(files.count('write', '.segment')).toBe(1);
    expect(files.count('sync', '.segment')).toBe(1);
    await store.close();
  });

  it('takes all along that came while the one before was written', async () => {
    const { store, files } = await open({ segmentBytesMax: 1024 * 1024 });
    const sync = files.hold('sync');
    store.publish(persistent('first'), [1], 0);
    await sync.reached;
    for (let i = 0; i < 100; i++) {
      store.publish(persistent(`${i}`), [1], 0);
      await Promise.resolve();
    }
    sync.open();
    await durable(store);
    expect(files.count('sync', '.segment')).toBe(2);
    await store.close();
  });

  it('grows while the next segment waits to be made, and is not one of many small ones', async () => {
    const { store, files } = await open({ segmentBytesMax: 2 * 1024 * 1024 });
    const [first, last] = [files.hold('sync'), files.hold('sync')];
    store.publish(persistent(Buffer.alloc(1500 * 1024)), [1], 0);
    store.publish(persistent(Buffer.alloc(600 * 1024)), [1], 0);
    await last.reached;
    first.open();
    for (let i = 0; i < 10; i++) {
      await new Promise(setImmediate);
      store.publish(persistent(Buffer.alloc(70 * 1024)), [1], 0);
    }
    last.open();
    await durable(store);
    // The large one, the end of its segment, the header of the next, what opened that, and the others in two.
    expect(files.count('write', '.segment')).toBe(6);
    await store.close();
  });

  it('of settlements alone waits for its delay, and no longer', async () => {
    const clock = new ManualClock();
    const { store, files } = await open({ clock, settlementDelayMs: 7 });
    const { sequence, position } = store.publish(persistent('1'), [1], 0);
    await durable(store);
    await new Promise(setImmediate);
    const before = files.count('sync', '.segment');
    store.settle(1, sequence, position);
    clock.advance(6);
    await new Promise(setImmediate);
    expect(files.count('sync', '.segment')).toBe(before);
    const sync = files.hold('sync');
    clock.advance(1);
    await sync.reached;
    sync.open();
    await store.close();
    expect(files.count('sync', '.segment')).toBe(before + 1);
  });

  it('of settlements alone needs no timer when it may not wait', async () => {
    const clock = new ManualClock();
    const { store, files } = await open({ clock, settlementDelayMs: 0 });
    const { sequence, position } = store.publish(persistent('1'), [1], 0);
    await durable(store);
    await new Promise(setImmediate);
    const sync = files.hold('sync');
    const timerAt = clock.nextTimerAt;
    store.settle(1, sequence, position);
    expect(clock.nextTimerAt).toBe(timerAt);
    await sync.reached;
    sync.open();
    await store.close();
  });

  it('that is full as the loop ends is written, though nothing comes after it', async () => {
    const { store, disk } = await open({ segmentBytesMax: 1024 * 1024 });
    const moments = 12;
    for (let moment = 0; moment < moments; moment++) {
      store.publish(persistent('before'), [1], 0);
      await durable(store);
      for (let tick = 0; tick < moment; tick++) await Promise.resolve();
      const confirms = Array.from({ length: 4 }, () => {
        store.publish(persistent(Buffer.alloc(16 * 1024)), [1], 0);
        return durable(store);
      });
      await Promise.all(confirms);
    }
    expect(await messagesAfterTheWorst(disk)).toBe(5 * moments);
    await store.close();
  });

  it('that is full as the loop ends is written by closing', async () => {
    for (let moment = 0; moment < 12; moment++) {
      const { store, disk } = await open({ segmentBytesMax: 1024 * 1024 });
      store.publish(persistent('before'), [1], 0);
      await durable(store);
      for (let tick = 0; tick < moment; tick++) await Promise.resolve();
      for (let i = 0; i < 4; i++) store.publish(persistent(Buffer.alloc(16 * 1024)), [1], 0);
      await store.close();
      expect(await messagesAfterTheWorst(disk)).toBe(5);
    }
  });

  it('that is not written yet is written by closing', async () => {
    const { store, disk } = await open();
    const { sequence, position } = store.publish(persistent('1'), [1], 0);
    store.publish(persistent('2'), [1], 0);
    store.settle(1, sequence, position);
    await store.close();
    expect(await messagesAfterTheWorst(disk)).toBe(1);
  });
});

describe('segments', () => {
  it('roll before a record would exceed them', async () => {
    const { store, disk } = await open();
    for (let i = 0; i < 20; i++) store.publish(persistent(Buffer.alloc(1000, i)), [1], 0);
    await store.close();
    const segments = disk.paths().filter((path) => path.endsWith('.segment'));
    expect(segments.length).toBe(7);
    for (const path of segments) expect(disk.readNow(path).length).toBeLessThanOrEqual(4096);
  });

  it('a body larger than a segment has one of its own', async () => {
    const { store, disk } = await open({ cacheBytesMax: 0 });
    const bodies = [10, 50_000, 10, 20_000, 30_000, 10].map((size, i) => Buffer.alloc(size, i + 1));
    for (const body of bodies) store.publish(persistent(body), [1], 0);
    await durable(store);
    await store.close();
    const again = journalOn(disk);
    const { entries } = await again.open();
    const positions = rowsOf(entries.get(1)).map(({ position }) => position);
    expect((await again.read(positions)).map(({ body }) => body)).toEqual(bodies);
    await again.close();
  });

  it('settlements alone do not make one grow without bound', async () => {
    const { store, disk } = await open({ segmentBytesMax: 4096 });
    const published = Array.from({ length: 4000 }, () => store.publish(persistent(''), [1], 0));
    await durable(store);
    for (const { sequence, position } of published.slice(1)) {
      store.settle(1, sequence, position);
      if (sequence % 50 === 0) await durable(store);
    }
    await store.close();
    const sizes = disk
      .paths()
      .filter((path) => path.endsWith('.segment'))
      .map((path) => disk.readNow(path).length);
    expect(Math.max(...sizes)).toBeLessThan(4096 * 2);
  });

  it('a message over the limit is refused, and nothing has changed', async () => {
    const { store, disk } = await open();
    const large = persistent(Buffer.alloc(LIMITS.bodyBytesMax + 1));
    expect(() => store.publish(large, [1], 0)).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    );
    store.publish(persistent('small'), [1], 0);
    await durable(store);
    await store.close();
    expect(await messagesAfterTheWorst(disk)).toBe(1);
    expect(disk.readNow(`${JOURNAL}/0000000001.segment`).length).toBeLessThan(200);
  });
});
