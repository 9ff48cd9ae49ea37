import { describe, expect, it } from '@jest/globals';
import { pick, withSeed } from '../random.spec.support.js';
import { DelayedIndex } from './delayed-index.js';
import { NO_MARK } from './entry-mark.js';

interface Row {
  readonly sequence: number;
  position: number;
  readonly dueAt: number;
}

describe('the index of delayed messages', () => {
  it('gives the soonest first, of equals the older, and finds any by its sequence', async () => {
    for (let seed = 1; seed <= 10; seed++) {
      await withSeed(seed, async (random) => {
        const index = new DelayedIndex();
        const model = new Map<number, Row>();
        for (let step = 0; step < 4000; step++) {
          const dice = random();
          const sequence = pick(random, 1000) * 2 ** 20 + 1;
          if (dice < 0.5 && !model.has(sequence)) {
            const row = { sequence, position: step, dueAt: pick(random, 500) };
            const mark = { ...NO_MARK, expiresAt: row.dueAt + 7, priority: 3 };
            index.add({ sequence, position: step, deliveryCount: 2, mark }, row.dueAt, row.dueAt % 256);
            model.set(sequence, row);
          } else if (dice < 0.6) {
            const row = model.get(sequence);
            if (row !== undefined) row.position = -step;
            expect(index.find(sequence, -step)?.position).toBe(row?.position);
          } else if (dice < 0.9) takeFirst(index, model);
          else if (dice < 0.902) takeAll(index, model);
          if (index.length !== model.size) throw new Error(`${index.length}, not ${model.size}`);
        }
        while (model.size > 0) takeFirst(index, model);
        expect([index.length, index.nextDueAt, index.shift()]).toEqual([0, Infinity, undefined]);
      });
    }
  });
});

describe('the memory of the index', () => {
  it('shrinks with the messages, however many there were', () => {
    const index = new DelayedIndex();
    const first = index.capacity;
    for (let sequence = 0; sequence < 10_000; sequence++)
      index.add({ sequence, position: sequence, deliveryCount: 0, mark: NO_MARK }, sequence % 100);
    expect(index.capacity).toBeGreaterThanOrEqual(10_000);
    while (index.length > 0) {
      index.shift();
      expect(index.capacity).toBeLessThanOrEqual(Math.max(first, index.length * 4));
    }
    expect(index.capacity).toBe(first);
  });
});

function takeAll(index: DelayedIndex, model: Map<number, Row>): void {
  expect([...index.sequences()].toSorted((a, b) => a - b)).toEqual(
    [...model.keys()].toSorted((a, b) => a - b),
  );
  const positions = [...model.values()].map(({ position }) => position);
  const taken = index.takeAll();
  expect(index.length).toBe(0);
  expect([...taken].toSorted((a, b) => a - b)).toEqual(positions.toSorted((a, b) => a - b));
  model.clear();
}

function takeFirst(index: DelayedIndex, model: Map<number, Row>): void {
  const first = [...model.values()].toSorted((a, b) => a.dueAt - b.dueAt || a.sequence - b.sequence)[0];
  expect(index.nextTag).toBe((first?.dueAt ?? 0) % 256);
  const entry = index.shift();
  if (first === undefined) {
    expect(entry).toBeUndefined();
    return;
  }
  const { sequence, position, dueAt } = first;
  model.delete(sequence);
  expect(entry).toMatchObject({ sequence, position, deliveryCount: 2 });
  expect(entry?.mark).toMatchObject({ readyAt: dueAt, expiresAt: dueAt + 7, priority: 3 });
  expect(index.find(sequence)).toBeUndefined();
}
