import { describe, expect, it, jest } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { durable, JOURNAL, journalOn, persistent, rowsOf } from './journal-model.spec.support.js';
import type { JournalStore } from './journal-store.js';
import { type FaultInjector, SimulatedFileSystem, systemError } from './simulated-file-system.js';

/** Fails each such operation on segment files, also on one that is to replace another. */
function failing(operation: Parameters<FaultInjector>[0], code: string, ending = '.segment'): FaultInjector {
  return (actual, path) =>
    actual === operation && path.replace(/\.new$/, '').endsWith(ending) ? systemError(code, path) : undefined;
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** Until everything that needs no clock has come to rest on the simulated disk. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

/** Opens the store; the bodies in queue 1. */
async function bodiesIn(store: JournalStore): Promise<string[]> {
  const { entries } = await store.open();
  const found = await store.read(rowsOf(entries.get(1)).map(({ position }) => position));
  return found.map(({ body }) => body.toString());
}

describe('J5 when the disk fails', () => {
  it.each([
    ['write', 'EIO'],
    ['write', 'ENOSPC'],
    ['sync', 'EIO'],
  ] as const)(
    'on %s with %s, who waits gets the error, and what was confirmed is kept',
    async (operation, code) => {
      const disk = new SimulatedFileSystem();
      const failures: Error[] = [];
      const store = journalOn(disk, { onFailure: (error) => failures.push(error) });
      await store.open();
      for (let i = 0; i < 10; i++) store.publish(persistent(`confirmed ${i}`), [1], 0);
      await durable(store);

      disk.fault = failing(operation, code);
      store.publish(persistent('lost'), [1], 0);
      const waiting = [durable(store), durable(store)];
      for (const one of waiting) {
        await expect(one).rejects.toMatchObject({
          code: 'STORE_FAILED',
          severity: 'broker',
          cause: { code },
        });
      }
      expect(() => store.publish(persistent('later'), [1], 0)).toThrow(
        expect.objectContaining({ code: 'STORE_FAILED' }),
      );
      await expect(durable(store)).rejects.toBe(store.failure);
      expect(failures).toEqual([store.failure]);

      await expect(store.close()).rejects.toBe(failures[0]);
      const again = journalOn(disk.afterPowerCut(() => 0));
      expect(await bodiesIn(again)).toEqual(Array.from({ length: 10 }, (_, i) => `confirmed ${i}`));
      await again.close();
    },
  );

  it('nothing is written before the store has proved itself, not even settlements or by closing', async () => {
    const disk = new SimulatedFileSystem();
    const store = journalOn(disk);
    await store.open();
    const { sequence, position } = store.publish(persistent('1'), [1], 0);
    await durable(store);
    disk.fault = failing('sync', 'EIO');
    store.publish(persistent('2'), [1], 0);
    await expect(durable(store)).rejects.toThrow('EIO');
    disk.fault = undefined;
    const path = `${JOURNAL}/0000000001.segment`;
    const before = disk.readNow(path);
    store.settle(1, sequence, position);
    store.requeue(1, sequence, position, 1);
    await expect(store.close()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(disk.readNow(path)).toEqual(before);
  });

  it.each<[string, FaultInjector]>([
    ['write of a commit', failing('write', 'EIO')],
    ['sync of a commit', failing('sync', 'EIO')],
    ['the open of a new segment', failing('open', 'ENOSPC', '2.segment')],
    ['the sync of the directory', failing('syncDirectory', 'EIO', 'journal')],
  ])('on %s it goes on when the disk is well again, in a file that was read again', async (_, fault) => {
    const disk = new SimulatedFileSystem();
    const clock = new ManualClock();
    const healed = deferred();
    const failed: (() => void)[] = [];
    const store = journalOn(disk, {
      clock,
      segmentBytesMax: 2048,
      onHealed: healed.resolve,
      onFailure: () => failed.shift()?.(),
    });
    await store.open();
    const first = store.publish(persistent('first'), [1], 0);
    await durable(store);
    disk.fault = fault;
    for (let i = 0; i < 3; i++) store.publish(persistent(`${i} ${'x'.repeat(1000)}`), [1], 0);
    await expect(durable(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    // What happens meanwhile is kept in mind: a settlement, and only the last of many delivery counts.
    store.settle(1, first.sequence, first.position);
    for (let count = 1; count <= 1000; count++) store.requeue(1, first.sequence + 1, 1, count);
    // Not yet: the next try is twice as late.
    clock.advance(1000);
    await turns();
    expect(store.failure).toBeDefined();
    expect(() => store.publish(persistent('too early'), [1], 0)).toThrow(/nothing is accepted for now/);
    disk.fault = undefined;
    clock.advance(1999);
    await turns();
    expect(store.failure).toBeDefined();
    clock.advance(1);
    await healed.promise;
    expect(store.failure).toBeUndefined();
    store.publish(persistent('after'), [1], 0);
    await durable(store);
    for (const left of [disk.afterPowerCut(() => 0), disk.afterKill()]) {
      const again = journalOn(left);
      const recovered = await again.open();
      const rows = rowsOf(recovered.entries.get(1));
      expect(rows.map(({ deliveryCount }) => deliveryCount)).toEqual([1000, 0, 0, 0]);
      const found = await again.read(rows.map(({ position }) => position));
      expect(found.map(({ body }) => body.toString().slice(0, 5))).toEqual([
        '0 xxx',
        '1 xxx',
        '2 xxx',
        'after',
      ]);
      await again.close();
    }
    await store.close();
  });

  it('what a failed sync may have left in the page cache only is written again from memory', async () => {
    const disk = new SimulatedFileSystem();
    const clock = new ManualClock();
    const healed = deferred();
    const store = journalOn(disk, { clock, onHealed: healed.resolve });
    await store.open();
    store.publish(persistent('1'), [1], 0);
    await durable(store);
    disk.fault = failing('sync', 'EIO');
    store.publish(persistent('2'), [1], 0);
    await expect(durable(store)).rejects.toThrow('EIO');
    disk.fault = undefined;
    // The file that was written to looks whole; it must not be what is relied upon.
    const path = `${JOURNAL}/0000000001.segment`;
    const suspect = disk.readNow(path);
    const before = await disk.open(path, 'write');
    clock.advance(1000);
    await healed.promise;
    await before.write(Buffer.alloc(suspect.length - 60), 60);
    await before.close();
    const again = journalOn(disk.afterPowerCut(() => 0));
    expect(await bodiesIn(again)).toEqual(['1', '2']);
    await again.close();
    await store.close();
  });

  it.each(['open', 'syncDirectory'] as const)('on %s of a new segment, likewise', async (operation) => {
    const disk = new SimulatedFileSystem();
    const store = journalOn(disk);
    await store.open();
    store.publish(persistent(Buffer.alloc(4000)), [1], 0);
    await durable(store);
    disk.fault = failing(operation, 'ENOSPC', operation === 'open' ? '.segment' : 'journal');
    store.publish(persistent(Buffer.alloc(4000)), [1], 0);
    await expect(durable(store)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(store.close()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const again = journalOn(disk.afterKill());
    expect((await again.open()).entries.get(1)?.length).toBe(1);
    await again.close();
  });

  it.each([
    ['removing a settled segment', failing('remove', 'EIO')],
    ['writing the snapshot of the definitions', failing('write', 'ENOSPC', 'definitions.json')],
  ])('on %s publishers go on, the trouble is told, and it is tried again later', async (_, fault) => {
    const disk = new SimulatedFileSystem();
    const clock = new ManualClock();
    const told: Error[] = [];
    const store = journalOn(disk, { clock, onFailure: (error) => told.push(error) });
    await store.open();
    store.define('key', 'value');
    const first = store.publish(persistent(Buffer.alloc(3900)), [1], 0);
    await durable(store);
    disk.fault = fault;
    store.settle(1, first.sequence, first.position);
    for (let i = 0; i < 3; i++) {
      store.publish(persistent(Buffer.alloc(3900)), [1], 0);
      await durable(store);
      await turns();
    }
    expect(store.failure).toBeUndefined();
    expect(told).toEqual([expect.objectContaining({ code: 'STORE_TROUBLE' })]);
    expect(disk.paths()).toContain(`${JOURNAL}/0000000001.segment`);
    disk.fault = undefined;
    clock.advance(30_000);
    await turns();
    expect(disk.paths()).not.toContain(`${JOURNAL}/0000000001.segment`);
    const again = journalOn(disk.afterPowerCut(() => 0));
    const { entries, definitions } = await again.open();
    expect(entries.get(1)?.length).toBe(3);
    expect(definitions.get('key')).toBe('value');
    await again.close();
    await store.close();
  });

  it('the mark that can not be written costs nothing but a word', async () => {
    const disk = new SimulatedFileSystem();
    const told: Error[] = [];
    const clock = new ManualClock();
    const store = journalOn(disk, { clock, onFailure: (error) => told.push(error) });
    await store.open();
    disk.fault = failing('write', 'EIO', 'durable');
    store.publish(persistent('1'), [1], 0);
    await durable(store);
    clock.advance(50);
    await turns();
    expect(store.failure).toBeUndefined();
    expect(told.map(({ message }) => message)).toEqual([
      expect.stringContaining("The mark 'durable' can't be"),
    ]);
    disk.fault = undefined;
    await store.close();
    const again = journalOn(disk.afterPowerCut(() => 0));
    expect(await bodiesIn(again)).toEqual(['1']);
    await again.close();
  });

  it('what a failed write left behind is cut off, and the journal goes on after it', async () => {
    const disk = new SimulatedFileSystem();
    const store = journalOn(disk);
    await store.open();
    store.publish(persistent('1'), [1], 0);
    await durable(store);
    disk.fault = failing('sync', 'EIO');
    store.publish(persistent('2'), [1], 0);
    await expect(durable(store)).rejects.toThrow('EIO');
    await store.close().catch(() => {});
    for (const cut of [1, 20, 30]) {
      const left = disk.afterKill();
      const path = `${JOURNAL}/0000000001.segment`;
      const bytes = left.readNow(path);
      left.replaceNow(path, bytes.subarray(0, bytes.length - cut));
      const again = journalOn(left);
      await again.open();
      again.publish(persistent('3'), [1], 0);
      await again.close();
      const last = journalOn(left);
      expect(await bodiesIn(last)).toEqual(['1', '3']);
      await last.close();
    }
  });

  it('a confirm callback that throws is not taken for a failed disk, and the others are called', async () => {
    const later: (() => void)[] = [];
    const nextTick = jest.spyOn(process, 'nextTick').mockImplementation((callback: unknown) => {
      later.push(callback as () => void);
    });
    const store = journalOn(new SimulatedFileSystem());
    await store.open();
    store.publish(persistent('1'), [1], 0);
    store.whenDurable(() => {
      throw new Error('a bug of the caller');
    });
    await durable(store);
    nextTick.mockRestore();
    expect(store.failure).toBeUndefined();
    // The bug comes to light as an uncaught exception of its own.
    expect(() => later.forEach((callback) => callback())).toThrow('a bug of the caller');
    await store.close();
  });
});
