import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../random.spec.support.js';
import type { File } from './file-system.js';
import { SimulatedFileSystem, systemError } from './simulated-file-system.js';

const PATH = '/data/file';

async function fileOn(disk: SimulatedFileSystem): Promise<File> {
  await disk.makeDirectory('/data');
  const file = await disk.open(PATH, 'create');
  await disk.syncDirectory('/data');
  return file;
}

/** What is in the file after each of many power cuts, each once. */
function afterPowerCuts(disk: SimulatedFileSystem): Set<string> {
  const random = seededRandom(1);
  const found = new Set<string>();
  for (let i = 0; i < 200; i++) found.add(disk.afterPowerCut(random).readNow(PATH).toString('latin1'));
  return found;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Holds each write or sync back until it is let go. */
class Gate {
  readonly #held: (() => void)[] = [];
  readonly wait = (): Promise<void> => new Promise((resolve) => this.#held.push(resolve));

  /** Lets the one that came as number `index` go on; counted from 0, of those still held. */
  async release(index: number): Promise<void> {
    this.#held.splice(index, 1)[0]?.();
    await new Promise(setImmediate);
  }
}

describe('a power cut on the simulated disk', () => {
  it('may leave a write that was not synced whole, in part, or not at all, and always one that was', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    await file.write(bytes('safe'), 0);
    await file.sync();
    await file.write(bytes('lost'), 4);
    expect([...afterPowerCuts(disk)].toSorted()).toEqual(['safe', 'safel', 'safelo', 'safelos', 'safelost']);
  });

  it('leaves a durable write, and that one only', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    await file.write(bytes('ab'), 0);
    await file.writeDurably(bytes('cd'), 2);
    const found = afterPowerCuts(disk);
    expect([...found].toSorted()).toEqual(['\0\0cd', 'a\0cd', 'abcd']);
  });

  it('may leave the second of two durable writes under way, and not the first', async () => {
    const disk = new SimulatedFileSystem();
    const gate = new Gate();
    const file = await fileOn(disk);
    disk.wait = gate.wait;
    const resolved: string[] = [];
    void file.writeDurably(bytes('ab'), 0).then(() => resolved.push('first'));
    void file.writeDurably(bytes('cd'), 2).then(() => resolved.push('second'));
    await gate.release(1);
    await gate.release(1);
    expect(resolved).toEqual(['second']);
    const found = afterPowerCuts(disk);
    expect(found).toContain('\0\0cd');
    expect(found).toContain('abcd');
    expect([...found].every((text) => text.endsWith('cd'))).toBe(true);
  });

  it('leaves what was completely written before a sync began, and not more', async () => {
    const disk = new SimulatedFileSystem();
    const gate = new Gate();
    const file = await fileOn(disk);
    await file.write(bytes('ab'), 0);
    disk.wait = gate.wait;
    const synced = file.sync();
    disk.wait = undefined;
    await file.write(bytes('cd'), 2);
    await gate.release(0);
    await synced;
    expect([...afterPowerCuts(disk)].toSorted()).toEqual(['ab', 'abc', 'abcd']);
  });

  it('after a failed sync may take what readers still see, though a later sync succeeds', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    await file.write(bytes('ab'), 0);
    disk.fault = (operation, path) => (operation === 'sync' ? systemError('EIO', path) : undefined);
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
    disk.fault = undefined;
    await file.write(bytes('cd'), 2);
    await file.sync();
    expect(disk.hasDropped).toBe(true);
    for (const one of [disk, disk.afterKill()]) {
      expect(one.readNow(PATH).toString()).toBe('abcd');
      expect([...afterPowerCuts(one)].toSorted()).toEqual(['\0\0cd', 'a\0cd', 'abcd']);
    }
  });

  it('may bring back what was cut off, until the next sync', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    await file.write(bytes('abcd'), 0);
    await file.sync();
    await file.truncate(2);
    expect(disk.readNow(PATH).toString()).toBe('ab');
    expect([...afterPowerCuts(disk)].toSorted()).toEqual(['ab', 'abcd']);
    await file.sync();
    expect([...afterPowerCuts(disk)]).toEqual(['ab']);
  });

  it('does not bring back what was cut off once a durable write has made the file longer', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    await file.writeDurably(bytes('abcdef'), 0);
    await file.truncate(2);
    await file.writeDurably(bytes('x'), 3);
    expect([...afterPowerCuts(disk)]).toEqual(['ab\0x']);
  });
});

describe('a kill on the simulated disk', () => {
  it('leaves all that was written, for a later power cut to take', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    await file.write(bytes('ab'), 0);
    const left = disk.afterKill();
    expect(left.readNow(PATH).toString()).toBe('ab');
    expect([...afterPowerCuts(left)].toSorted()).toEqual(['', 'a', 'ab']);
    await (await left.open(PATH, 'write')).sync();
    expect([...afterPowerCuts(left)]).toEqual(['ab']);
  });

  it('leaves of a write under way any part', async () => {
    const disk = new SimulatedFileSystem();
    const file = await fileOn(disk);
    disk.wait = new Gate().wait;
    void file.write(bytes('ab'), 0);
    const random = seededRandom(1);
    const found = new Set<string>();
    for (let i = 0; i < 50; i++) found.add(disk.afterKill(random).readNow(PATH).toString());
    expect([...found].toSorted()).toEqual(['', 'a', 'ab']);
  });
});

describe('a full simulated disk', () => {
  it('stores what fits, fails with ENOSPC, and has room again when a file goes', async () => {
    const disk = new SimulatedFileSystem();
    expect(await disk.freeBytes('/data')).toBe(Infinity);
    disk.capacityBytes = 10;
    const file = await fileOn(disk);
    await file.write(bytes('12345678'), 0);
    expect(await disk.freeBytes('/data')).toBe(2);
    await file.write(bytes('again'), 0);
    for (const how of ['write', 'writeDurably'] as const) {
      await expect(file[how](bytes('abcd'), 8)).rejects.toMatchObject({ code: 'ENOSPC' });
      expect(disk.readNow(PATH).toString()).toBe('again678ab');
    }
    await expect(file.write(bytes('x'), 10)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await disk.freeBytes('/data')).toBe(0);
    await disk.remove(PATH);
    expect(await disk.freeBytes('/data')).toBe(10);
  });
});

describe('a write that fails on the simulated disk', () => {
  it('may have stored a part before', async () => {
    const disk = new SimulatedFileSystem();
    disk.random = seededRandom(1);
    const found = new Set<string>();
    const file = await fileOn(disk);
    disk.fault = (operation, path) => (operation === 'write' ? systemError('EIO', path) : undefined);
    for (let i = 0; i < 50; i++) {
      await expect(file.write(bytes('ab'), 0)).rejects.toMatchObject({ code: 'EIO' });
      found.add(disk.readNow(PATH).toString());
      await file.truncate(0);
    }
    expect([...found].toSorted()).toEqual(['', 'a', 'ab']);
  });
});
