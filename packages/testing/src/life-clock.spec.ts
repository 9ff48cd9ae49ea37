import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import { LifeClock } from './life-clock.js';

describe('the clock of a life', () => {
  it('is the clock that it was made of, until its end', () => {
    const manual = new ManualClock();
    const clock = new LifeClock(manual);
    const fired: string[] = [];
    clock.setTimer(10, () => fired.push('a'));
    clock.setTimer(20, () => fired.push('b')).cancel();
    manual.advance(20);
    expect(fired).toEqual(['a']);
    expect(clock.now()).toBe(manual.now());
  });

  it('fires no timer after its end, and lets nobody wait who sets another', async () => {
    const manual = new ManualClock();
    const clock = new LifeClock(manual);
    const fired: string[] = [];
    clock.setTimer(10, () => fired.push('before'));
    clock.end();
    clock.setTimer(10_000, () => fired.push('cancelled')).cancel();
    await new Promise<void>((resolve) => {
      clock.setTimer(10_000, resolve);
    });
    manual.advance(10);
    expect(fired).toEqual([]);
    expect(manual.nextTimerAt).toBeUndefined();
  });
});
