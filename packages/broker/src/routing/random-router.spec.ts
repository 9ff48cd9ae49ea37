import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../random.spec.support.js';
import { RandomRouter } from './random-router.js';

describe('a random router', () => {
  it('sends each message to one destination, to all alike', () => {
    const router = new RandomRouter<string>(seededRandom(7));
    for (const queue of ['a', 'b', 'c']) router.bind('whatever', queue);
    router.bind('twice', 'a');
    const counts: Record<string, number> = {};
    for (let i = 0; i < 30_000; i++) {
      const to = [...router.route()].join(' and ');
      counts[to] = (counts[to] ?? 0) + 1;
    }
    expect(Object.keys(counts).toSorted()).toEqual(['a', 'b', 'c']);
    for (const count of Object.values(counts)) expect(Math.abs(count - 10_000)).toBeLessThan(400);
  });

  it('forgets a destination with its last binding', () => {
    const router = new RandomRouter<string>(seededRandom(7));
    router.bind('k', 'a');
    router.bind('l', 'a');
    expect(router.unbind('k', 'a')).toBe(true);
    expect(router.unbind('k', 'a')).toBe(false);
    expect([...router.route()]).toEqual(['a']);
    router.unbind('l', 'a');
    expect([...router.route()]).toEqual([]);
  });
});
