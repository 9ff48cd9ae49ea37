import { describe, expect, it } from '@jest/globals';
import { Claims } from './claims.js';

describe('Claims', () => {
  it('gives a key to one owner at a time, and tells who waits when it is free', async () => {
    const claims = new Claims<string>();
    expect([claims.take('k', 'a'), claims.take('k', 'a'), claims.take('k', 'b')]).toEqual([
      true,
      true,
      false,
    ]);
    const change = claims.change('k');
    claims.giveBack('b');
    expect(claims.take('k', 'b')).toBe(false);
    claims.giveBack('a');
    await change;
    expect([claims.take('k', 'b'), claims.take('k', 'a')]).toEqual([true, false]);
  });

  it('gives back all keys of an owner, and no others', () => {
    const claims = new Claims<string>();
    claims.take('1', 'a');
    claims.take('2', 'a');
    claims.take('3', 'b');
    claims.giveBack('a');
    expect(['1', '2', '3'].map((key) => claims.take(key, 'c'))).toEqual([true, true, false]);
  });

  it('wakes all who wait', async () => {
    const claims = new Claims<string>();
    const waiting = ['1', '1', '2'].map((key) => claims.change(key));
    claims.wake();
    expect(await Promise.all(waiting)).toHaveLength(3);
  });
});
