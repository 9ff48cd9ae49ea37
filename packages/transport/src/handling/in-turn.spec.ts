import { describe, expect, it } from '@jest/globals';
import { deferred, settled } from './handling.spec.support.js';
import { InTurn } from './in-turn.js';

describe('values in turn', () => {
  it('come out as they are when nothing is before them', () => {
    expect(new InTurn().next(1)).toBe(1);
  });

  it('come out in the order in which they went in, whatever takes how long, and failures too', async () => {
    const turns = new InTurn();
    const [slow, failing, fast] = [deferred<string>(), deferred<string>(), deferred<string>()];
    const out: unknown[] = [];
    const take = async (value: unknown): Promise<void> => {
      try {
        let taken = turns.next(value);
        if (taken instanceof Promise) taken = await taken;
        out.push(taken);
      } catch (error) {
        out.push(error);
      }
    };
    for (const value of [slow.promise, failing.promise, fast.promise, 'there']) void take(value);
    fast.resolve('fast');
    failing.reject('failed');
    await settled();
    expect(out).toEqual([]);
    slow.resolve('slow');
    await settled();
    expect(out).toEqual(['slow', 'failed', 'fast', 'there']);
    expect(turns.next('after')).toBe('after');
  });

  it('do not let one pass that comes just when the one before is ready', async () => {
    const turns = new InTurn();
    const slow = deferred<string>();
    const out: unknown[] = [];
    const take = async (value: unknown): Promise<void> => {
      let taken = turns.next(value);
      if (taken instanceof Promise) taken = await taken;
      out.push(taken);
    };
    void take(slow.promise);
    slow.resolve('slow');
    for (let i = 0; i < 12; i++) {
      void take(i);
      await Promise.resolve();
    }
    await settled();
    expect(out).toEqual(['slow', ...Array.from({ length: 12 }, (_, i) => i)]);
  });
});
