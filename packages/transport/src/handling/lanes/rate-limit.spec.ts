import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import fc from 'fast-check';
import { settled } from '../handling.spec.support.js';
import { RateLimitGate } from './rate-limit.js';

const fresh = (): boolean => false;

/** The times at which so many starts got through. */
function startsOf(clock: ManualClock, gate: RateLimitGate): { ask: (count?: number) => void; at: number[] } {
  const at: number[] = [];
  const from = clock.now();
  const ask = (count = 1): void => {
    for (let i = 0; i < count; i++) {
      const entered = gate.enter(fresh);
      if (entered === true) at.push(clock.now() - from);
      else void Promise.resolve(entered).then((may) => may && at.push(clock.now() - from));
    }
  };
  return { ask, at };
}

describe('a rate limit', () => {
  it('lets a burst through, then each as soon as one is out of the window', async () => {
    const clock = new ManualClock();
    const { ask, at } = startsOf(clock, new RateLimitGate(clock, { max: 2, perMs: 1000 }));
    ask();
    clock.advance(300);
    ask(3);
    for (let i = 0; i < 20; i++) {
      clock.advance(100);
      await settled();
    }
    expect(at).toEqual([0, 300, 1000, 1300]);
  });

  it('never lets more than its maximum start in any window, and lets all start', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 50 }),
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 40 }),
        async (max, perMs, gaps) => {
          const clock = new ManualClock();
          const { ask, at } = startsOf(clock, new RateLimitGate(clock, { max, perMs }));
          for (const gap of gaps) {
            ask();
            for (let i = 0; i < gap; i++) {
              clock.advance(1);
              await Promise.resolve();
            }
          }
          for (let i = 0; i <= perMs * gaps.length; i++) {
            clock.advance(1);
            await Promise.resolve();
          }
          expect(at).toHaveLength(gaps.length);
          for (let i = max; i < at.length; i++)
            expect((at[i] as number) - (at[i - max] as number)).toBeGreaterThanOrEqual(perMs);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is not stuck when the clock is set back', async () => {
    let back = 0;
    const manual = new ManualClock();
    const clock = {
      now: () => manual.now() - back,
      setTimer: (ms: number, callback: () => void) => manual.setTimer(ms, callback),
    };
    const gate = new RateLimitGate(clock, { max: 1, perMs: 1000 });
    expect(gate.enter(fresh)).toBe(true);
    back = 3_600_000;
    const waiting = gate.enter(fresh);
    manual.advance(1000);
    expect(await waiting).toBe(true);
  });

  it('spends nothing on what is stale', async () => {
    const clock = new ManualClock();
    const gate = new RateLimitGate(clock, { max: 1, perMs: 1000 });
    expect(gate.enter(fresh)).toBe(true);
    const stale = gate.enter(() => true);
    const next = gate.enter(fresh);
    clock.advance(1000);
    expect([await stale, await next]).toEqual([false, true]);
  });

  it('turns away who waits when it stops, and leaves no timer', async () => {
    const timers = new Set<unknown>();
    const manual = new ManualClock();
    const clock = {
      now: () => manual.now(),
      setTimer: (ms: number, callback: () => void) => {
        const timer = manual.setTimer(ms, () => {
          timers.delete(timer);
          callback();
        });
        timers.add(timer);
        return {
          cancel: () => {
            timers.delete(timer);
            timer.cancel();
          },
        };
      },
    };
    const gate = new RateLimitGate(clock, { max: 1, perMs: 1000 });
    expect(gate.enter(fresh)).toBe(true);
    const waiting = gate.enter(fresh);
    expect(timers.size).toBe(1);
    gate.stop();
    expect(await waiting).toBe(false);
    expect(timers.size).toBe(0);
    expect(gate.enter(fresh)).toBe(false);
    gate.start();
    manual.advance(1000);
    expect(gate.enter(fresh)).toBe(true);
  });
});
