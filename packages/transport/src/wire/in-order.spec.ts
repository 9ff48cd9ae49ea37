import { describe, expect, it } from '@jest/globals';
import { InOrder } from './in-order.js';

describe('values in order', () => {
  const setUp = () => {
    const order = new InOrder();
    const seen: string[] = [];
    const push = (value: () => string | Promise<string>): void =>
      order.push(
        value,
        (one) => void seen.push(one),
        (error) => void seen.push(`failed: ${String(error)}`),
      );
    return { push, seen };
  };
  const turns = async (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });

  it('are handed on at once while no promise is awaited', () => {
    const { push, seen } = setUp();
    push(() => 'a');
    push(() => 'b');
    expect(seen).toEqual(['a', 'b']);
  });

  it('wait for promises before them, whichever comes first, and are prompt again after that', async () => {
    const { push, seen } = setUp();
    let giveFirst: (value: string) => void = () => {};
    push(
      async () =>
        new Promise<string>((resolve) => {
          giveFirst = resolve;
        }),
    );
    push(() => 'b');
    push(async () => 'c');
    await turns();
    expect(seen).toEqual([]);
    giveFirst('a');
    await turns();
    expect(seen).toEqual(['a', 'b', 'c']);
    push(() => 'd');
    expect(seen).toEqual(['a', 'b', 'c', 'd']);
  });

  it('that fail are told and hold nobody up', async () => {
    const { push, seen } = setUp();
    push(async () => {
      throw new Error('one');
    });
    push(() => {
      throw new Error('two');
    });
    push(() => 'c');
    expect(seen).toEqual(['failed: Error: two']);
    await turns();
    expect(seen).toEqual(['failed: Error: two', 'failed: Error: one', 'c']);
  });
});
