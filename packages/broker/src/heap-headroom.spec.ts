import { spawnSync } from 'node:child_process';
import { describe, expect, it } from '@jest/globals';
import { ManualClock } from './clock.js';
import { growthFlag, HeapHeadroom, v8Heap } from './heap-headroom.js';

const MIB = 1024 * 1024;

function heapOf(
  mib: number,
  memoryBytes: number = 1024 ** 4,
): {
  readonly clock: ManualClock;
  readonly heap: { mib: number; readonly grows: number[] };
  readonly headroom: HeapHeadroom;
} {
  const clock = new ManualClock();
  const heap = { mib, grows: [] as number[] };
  const headroom = new HeapHeadroom({
    heap: { usedBytes: () => heap.mib * MIB, letGrow: (percent) => heap.grows.push(percent) },
    clock,
    memoryBytes,
  });
  return { clock, heap, headroom };
}

describe('the heap', () => {
  it('may grow by 64 MiB while it is small', () => {
    expect(heapOf(8).heap.grows).toEqual([800]);
    expect(heapOf(16).heap.grows).toEqual([400]);
  });

  it('may grow by a sixteenth of the memory where that is less', () => {
    expect(heapOf(4, 512 * MIB).heap.grows).toEqual([800]);
    expect(heapOf(8, 256 * MIB).heap.grows).toEqual([]);
  });

  it('that has become large is left to V8, until it is small again', () => {
    const { clock, heap } = heapOf(8);
    heap.mib = 40;
    clock.advance(1000);
    expect(heap.grows).toEqual([800, 0]);
    heap.mib = 10;
    clock.advance(1000);
    expect(heap.grows).toEqual([800, 0, 640]);
  });

  it('is left to V8 when the headroom is closed', () => {
    const { clock, heap, headroom } = heapOf(8);
    headroom.close();
    clock.advance(10_000);
    expect(heap.grows).toEqual([800, 0]);
  });

  it('of V8 takes the flag, and has a size', () => {
    const program = 'require("node:v8").setFlagsFromString(process.argv[1])';
    const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program, '--', growthFlag(700)], {
      encoding: 'utf8',
    });
    expect([stdout, stderr, status]).toEqual(['', '', 0]);
    expect(v8Heap.usedBytes()).toBeGreaterThan(MIB);
  });
});
