import { describe, expect, it } from '@jest/globals';
import { deferred, settled } from '../handling.spec.support.js';
import { ConcurrencyGate } from './concurrency.js';
import { through } from './gate.js';

const fresh = (): boolean => false;

describe('a concurrency gate', () => {
  it('lets so many in at once, and the others in the order in which they came', async () => {
    const gate = new ConcurrencyGate(2);
    const began: number[] = [];
    const ends = [deferred(), deferred(), deferred(), deferred()];
    const all = ends.map((end, i) =>
      through([gate], fresh, () => {
        began.push(i);
        return end.promise;
      }),
    );
    await settled();
    expect(began).toEqual([0, 1]);
    ends[1]?.resolve();
    await settled();
    expect(began).toEqual([0, 1, 2]);
    ends[0]?.resolve();
    ends[2]?.resolve();
    ends[3]?.resolve();
    await Promise.all(all);
    expect(began).toEqual([0, 1, 2, 3]);
  });

  it('is left by what fails', async () => {
    const gate = new ConcurrencyGate(1);
    const failing = through([gate], fresh, () => Promise.reject(new Error('x')));
    await expect(failing).rejects.toThrow('x');
    expect(await through([gate], fresh, () => Promise.resolve('in'))).toBe('in');
  });

  it('leaves out what is stale by the time its turn comes', async () => {
    const gate = new ConcurrencyGate(1);
    const end = deferred();
    const first = through([gate], fresh, () => end.promise);
    let isStale = false;
    const second = through(
      [gate],
      () => isStale,
      () => Promise.resolve('second'),
    );
    const third = through([gate], fresh, () => Promise.resolve('third'));
    isStale = true;
    end.resolve();
    await first;
    expect(await second).toBeUndefined();
    expect(await third).toBe('third');
  });

  it('turns away who waits when it stops, and who comes later, until it starts again', async () => {
    const gate = new ConcurrencyGate(1);
    const end = deferred<string>();
    const running = through([gate], fresh, () => end.promise);
    const waiting = through([gate], fresh, () => Promise.resolve('waited'));
    await settled();
    gate.stop();
    expect(await waiting).toBeUndefined();
    expect(await through([gate], fresh, () => Promise.resolve('late'))).toBeUndefined();
    end.resolve('ran');
    expect(await running).toBe('ran');
    gate.start();
    expect(await through([gate], fresh, () => Promise.resolve('again'))).toBe('again');
  });
});
