import { describe, expect, it } from '@jest/globals';
import { ManualClock } from './clock.js';
import { MemoryWatch, systemMemory } from './memory-watch.js';

function watching(highWatermark: number): {
  readonly clock: ManualClock;
  readonly gauge: { used: number; released: number };
  readonly told: (string | undefined)[];
  readonly watch: MemoryWatch;
} {
  const clock = new ManualClock();
  const told: (string | undefined)[] = [];
  const gauge = { used: 0, released: 0 };
  const watch = new MemoryWatch({
    clock,
    highWatermark,
    gauge: { usedBytes: () => gauge.used, limitBytes: () => 1000, release: () => gauge.released++ },
    onChange: (reason) => told.push(reason),
  });
  return { clock, gauge, told, watch };
}

describe('memory', () => {
  it.each([0.4, 400])(
    'over the high watermark %s is told once, and once when it is below again',
    (highWatermark) => {
      const { clock, gauge, told } = watching(highWatermark);
      gauge.used = 400;
      clock.advance(10_000);
      expect(told).toEqual([]);
      gauge.used = 401;
      clock.advance(10_000);
      expect(told).toEqual([
        'The process uses 401 bytes of memory; publishing waits until it uses 400 at most.',
      ]);
      gauge.used = 399;
      clock.advance(10_000);
      expect(told).toHaveLength(2);
      expect(told[1]).toBeUndefined();
    },
  );

  it('is given back now and then while it is over, since nothing else would', () => {
    const { clock, gauge } = watching(400);
    gauge.used = 401;
    clock.advance(60_000);
    expect(gauge.released).toBe(6);
    gauge.used = 0;
    clock.advance(60_000);
    expect(gauge.released).toBe(6);
  });

  it('that can not be measured for a while, with no file left to open, ends nothing, and is looked at again', () => {
    const { clock, gauge, told } = watching(400);
    gauge.used = 401;
    clock.advance(2500);
    Object.defineProperty(gauge, 'used', {
      configurable: true,
      get: () => {
        throw new Error('EMFILE');
      },
    });
    clock.advance(60_000);
    expect(told).toHaveLength(1);
    Object.defineProperty(gauge, 'used', { value: 0 });
    clock.advance(2500);
    expect(told).toEqual([expect.any(String), undefined]);
  });

  it('is not looked at any more when the watch is closed', () => {
    const { clock, gauge, told, watch } = watching(400);
    watch.close();
    gauge.used = 1000;
    clock.advance(60_000);
    expect(told).toEqual([]);
  });

  it("is the system's, within what there is", () => {
    expect(systemMemory.usedBytes()).toBeGreaterThan(1024 * 1024);
    expect(systemMemory.limitBytes()).toBeGreaterThan(systemMemory.usedBytes());
    expect(() => systemMemory.release()).not.toThrow();
  });
});
