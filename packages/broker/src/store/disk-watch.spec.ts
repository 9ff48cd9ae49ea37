import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { DiskWatch } from './disk-watch.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

function watching(freeBytesMin: number): {
  watch: DiskWatch;
  clock: ManualClock;
  disk: { free: number | Error };
  told: (string | undefined)[];
  looks: () => number;
} {
  const disk: { free: number | Error } = { free: 1_000_000 };
  const clock = new ManualClock();
  const told: (string | undefined)[] = [];
  let looks = 0;
  class Disk extends SimulatedFileSystem {
    override async freeBytes(): Promise<number> {
      looks++;
      if (disk.free instanceof Error) throw disk.free;
      return disk.free;
    }
  }
  const watch = new DiskWatch({
    fileSystem: new Disk(),
    clock,
    directory: '/data',
    freeBytesMin,
    onChange: (reason) => told.push(reason),
  });
  return { watch, clock, disk, told, looks: () => looks };
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

describe('the watch on the free space of the disk', () => {
  it('asks the disk once a quarter of the limit was written, and blocks below the limit', async () => {
    const { watch, disk, told, looks } = watching(400);
    watch.written(99);
    await turns();
    expect(looks()).toBe(0);
    disk.free = 399;
    watch.written(1);
    await turns();
    expect(looks()).toBe(1);
    expect(told).toEqual(["The disk of '/data' has 399 bytes left; publishing waits until it has 400."]);
    expect(watch.blocked).toBe(told[0]);
  });

  it('looks again each second while it blocks, tells only of changes, and not after it is closed', async () => {
    const { watch, clock, disk, told, looks } = watching(400);
    disk.free = 1;
    await watch.look();
    for (let second = 0; second < 3; second++) {
      clock.advance(1000);
      await turns();
    }
    expect([looks(), told.length]).toEqual([4, 1]);
    disk.free = 400;
    clock.advance(1000);
    await turns();
    expect(told.slice(1)).toEqual([undefined]);
    clock.advance(10_000);
    await turns();
    expect(looks()).toBe(5);
    disk.free = 1;
    await watch.look();
    await watch.close();
    clock.advance(10_000);
    await turns();
    expect(looks()).toBe(6);
  });

  it('takes a disk that does not answer for a full one', async () => {
    const { watch, disk, told } = watching(400);
    disk.free = new Error('EIO: no answer');
    await watch.look();
    expect(told).toEqual([expect.stringContaining('does not say how much is free (EIO: no answer)')]);
  });

  it('with a limit of 0 never asks', async () => {
    const { watch, looks } = watching(0);
    watch.written(1e12);
    await watch.look();
    expect([looks(), watch.blocked]).toEqual([0, undefined]);
  });
});
