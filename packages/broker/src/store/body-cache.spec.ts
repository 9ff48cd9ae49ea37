import { describe, expect, it } from '@jest/globals';
import { pick, seededRandom } from '../random.spec.support.js';
import { BodyCache } from './body-cache.js';
import { persistent } from './journal-model.spec.support.js';

const BODY_BYTES = 100;
const message = (name: number) => persistent(Buffer.alloc(BODY_BYTES, name));

describe('the cache of recent messages', () => {
  it('has what was added until each of its queues has settled it, whatever goes in between', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const random = seededRandom(seed);
      const cache = new BodyCache(Infinity);
      const model = new Map<number, { name: number; queues: number }>();
      let position = 0;
      for (let step = 0; step < 5000; step++) {
        if (random() < 0.55) {
          position += 1 + pick(random, 500);
          const queues = 1 + pick(random, 3);
          cache.add(position, message(step % 256), queues);
          model.set(position, { name: step % 256, queues });
        } else {
          const known = [...model.keys()];
          const one = random() < 0.1 ? pick(random, position + 2) : (known[pick(random, known.length)] ?? 0);
          const expected = model.get(one);
          expect({ seed, step, one, name: cache.get(one)?.body[0] }).toEqual({
            seed,
            step,
            one,
            name: expected?.name,
          });
          cache.release(one);
          if (expected !== undefined && --expected.queues === 0) model.delete(one);
        }
        if (step % 100 === 0) cache.trim(position + 1);
      }
      for (const [at, { name }] of model) expect(cache.get(at)?.body[0]).toBe(name);
    }
  });

  it('keeps to its budget, the oldest go first, and what is not written stays', () => {
    const cache = new BodyCache(1000 * (BODY_BYTES + 256));
    for (let position = 1; position <= 5000; position++) cache.add(position, message(1), 1);
    cache.trim(1);
    expect(cache.get(1)).toBeDefined();
    cache.trim(5001);
    const left = Array.from({ length: 5000 }, (_, i) => cache.get(i + 1)).filter((one) => one !== undefined);
    expect(left.length).toBeLessThanOrEqual(1000);
    expect(left.length).toBeGreaterThan(700);
    expect(cache.get(5000)).toBeDefined();
    cache.trim(5001);
    expect(cache.get(5000)).toBeDefined();
  });

  it('a message that stays does not make it keep room for all that came after', () => {
    const cache = new BodyCache(1_000_000);
    cache.add(1, message(7), 1);
    for (let position = 2; position <= 200_000; position++) {
      cache.add(position, message(1), 1);
      cache.release(position);
      if (position % 1000 === 0) cache.trim(position + 1);
    }
    expect(cache.get(1)?.body[0]).toBe(7);
    expect(cache.pages).toBeLessThan(200);
  });
});
