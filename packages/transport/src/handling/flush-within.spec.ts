import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import { flushWithin } from './flush-within.js';
import { deferred } from './handling.spec.support.js';

describe('flushing before the end', () => {
  it('is done when the broker has confirmed', async () => {
    const clock = new ManualClock();
    expect(await flushWithin({ flush: async () => undefined }, clock, 1000)).toBe(true);
  });

  it('ends in time though the broker confirms nothing', async () => {
    const [clock, never] = [new ManualClock(), deferred()];
    const flushed = flushWithin({ flush: () => never.promise }, clock, 1000);
    clock.advance(1000);
    expect(await flushed).toBe(false);
    never.reject(new Error('the link was closed'));
  });

  it('rejects as the broker does', async () => {
    const flush = (): Promise<void> => Promise.reject(new Error('no disk'));
    await expect(flushWithin({ flush }, new ManualClock(), 1000)).rejects.toThrow('no disk');
  });
});
