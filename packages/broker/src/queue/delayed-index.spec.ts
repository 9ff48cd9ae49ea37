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
            index.add({ sequence, position: step, deliveryCount: 2, mark }, row.dueAt);
            model.set(sequence, row);
          } else if (dice < 0.6) {
            const row = model.get(sequence);
            if (row !== undefined) row.position = -step;
            expect(index.find(sequence, -step)?.position).toBe(row?.position);
          } else if (dice < 0.9) takeFirst(index, model);
          if (index.length !== model.size) throw new Error(`${index.length}, not ${model.size}`);
        }
        while (model.size > 0) takeFirst(index, model);
        expect([index.length, index.nextDueAt, index.shift()]).toEqual([0, Infinity, undefined]);
      });
    }
  });
});

function takeFirst(index: DelayedIndex, model: Map<number, Row>): void {
  const first = [...model.values()].toSorted((a, b) => a.dueAt - b.dueAt || a.sequence - b.sequence)[0];
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
