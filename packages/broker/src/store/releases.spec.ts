import { describe, expect, it } from '@jest/globals';
import { releaseInTurns } from './releases.js';

function* numbers(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i;
}

async function turnsUntil(isDone: () => boolean): Promise<number> {
  for (let turns = 0; ; turns++) {
    if (isDone() || turns === 1000) return turns;
    await new Promise(setImmediate);
  }
}

describe('letting go of positions', () => {
  it('of few is done at once', () => {
    const released: number[] = [];
    releaseInTurns(
      numbers(1000),
      (position) => void released.push(position),
      () => true,
    );
    expect(released).toEqual([...numbers(1000)]);
  });

  it('of very many takes turns, and comes to all of them, in order', async () => {
    const released: number[] = [];
    releaseInTurns(
      numbers(100_000),
      (position) => void released.push(position),
      () => true,
    );
    expect(released.length).toBeLessThan(20_000);
    expect(await turnsUntil(() => released.length === 100_000)).toBeGreaterThan(4);
    expect(released).toEqual([...numbers(100_000)]);
  });

  it('ends when it is to go on no more', async () => {
    let released = 0;
    releaseInTurns(
      numbers(100_000),
      () => released++,
      () => released < 50_000,
    );
    await turnsUntil(() => released === 100_000);
    expect(released).toBeLessThan(70_000);
  });
});
