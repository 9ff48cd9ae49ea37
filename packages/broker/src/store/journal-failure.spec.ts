import { describe, expect, it, jest } from '@jest/globals';
import { GatedFileSystem } from './gated-file-system.spec.support.js';
import { durable, JOURNAL, journalOn, persistent } from './journal-model.spec.support.js';
import { type FaultInjector, SimulatedFileSystem, systemError } from './simulated-file-system.js';

/** Fails each such operation on segment files. */
function failing(operation: Parameters<FaultInjector>[0], code: string, ending = '.segment'): FaultInjector {
  return (actual, path) =>
    actual === operation && path.endsWith(ending) ? systemError(code, path) : undefined;
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

      disk.fault = undefined;
      expect(() => store.publish(persistent('cured'), [1], 0)).toThrow(/nothing more is accepted/);
      await expect(store.close()).rejects.toBe(store.failure);
      const again = journalOn(disk.afterPowerCut(() => 0));
      const { entries } = await again.open();
      const found = await again.read((entries.get(1) ?? []).map(({ position }) => position));
      expect(found.map(({ body }) => body.toString())).toEqual(
        Array.from({ length: 10 }, (_, i) => `confirmed ${i}`),
      );
      await again.close();
    },
  );

  it('nothing is written any more, not even settlements or by closing', async () => {
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
    store.settle(1, sequence, position, true);
    store.requeue(1, sequence, position, 1);
    await expect(store.close()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(disk.readNow(path)).toEqual(before);
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
    ['writing the snapshot of the definitions', failing('write', 'ENOSPC', 'definitions.json.new')],
  ])('on %s, nobody waits for ever, and what is confirmed is kept', async (_, fault) => {
    const disk = new SimulatedFileSystem();
    const files = new GatedFileSystem(disk);
    const store = journalOn(files);
    await store.open();
    store.define('key', 'value');
    const first = store.publish(persistent(Buffer.alloc(3900)), [1], 0);
    await durable(store);
    await new Promise(setImmediate);
    disk.fault = fault;
    const sync = files.hold('sync');
    store.settle(1, first.sequence, first.position, true);
    store.publish(persistent(Buffer.alloc(3900)), [1], 0);
    const confirms = [durable(store)];
    await sync.reached;
    // These are in the commit after which the segment of the settled message is to go.
    store.publish(persistent('next'), [1], 0);
    confirms.push(durable(store));
    sync.open();
    const outcomes = await Promise.allSettled(confirms);
    await expect(store.close()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    const confirmed = outcomes.filter(({ status }) => status === 'fulfilled').length;
    const again = journalOn(disk.afterPowerCut(() => 0));
    const { entries, definitions } = await again.open();
    expect(entries.get(1)?.length).toBeGreaterThanOrEqual(confirmed);
    expect(definitions.get('key')).toBe('value');
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
      const { entries } = await last.open();
      const found = await last.read((entries.get(1) ?? []).map(({ position }) => position));
      expect(found.map(({ body }) => body.toString())).toEqual(['1', '3']);
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
