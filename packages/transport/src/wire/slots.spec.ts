import { describe, expect, it } from '@jest/globals';
import { Slots } from './slots.js';

describe('slots', () => {
  it('let so many run at once, the others in order, also after failures', async () => {
    const slots = new Slots(2);
    const started: number[] = [];
    const ends: ((error?: Error) => void)[] = [];
    const start = async (id: number): Promise<number> =>
      slots.run(async () => {
        started.push(id);
        return new Promise((resolve, reject) => {
          ends[id] = (error) => (error === undefined ? resolve(id) : reject(error));
        });
      });
    const results = [start(0), start(1), start(2), start(3)];
    expect(started).toEqual([0, 1]);
    ends[1]?.(new Error('no'));
    await expect(results[1]).rejects.toThrow('no');
    expect(started).toEqual([0, 1, 2]);
    ends[0]?.();
    expect(await results[0]).toBe(0);
    expect(started).toEqual([0, 1, 2, 3]);
    ends[2]?.();
    ends[3]?.();
    expect(await Promise.all([results[2], results[3]])).toEqual([2, 3]);
    expect(await slots.run(async () => 5)).toBe(5);
  });
});
