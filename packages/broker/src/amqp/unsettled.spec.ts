import { describe, expect, it } from '@jest/globals';
import type { Delivery } from '../queue/delivery.js';
import { Unsettled } from './unsettled.js';

const message = { body: Buffer.alloc(7), propertiesBytes: Buffer.alloc(3) };
const consumed = { message, consumer: { tag: 'c' } } as Delivery;
const got = { message, consumer: { tag: '' } } as Delivery;

function holding(...tags: number[]): Unsettled {
  const unsettled = new Unsettled();
  for (const tag of tags) unsettled.add(tag, tag % 2 === 0 ? got : consumed);
  return unsettled;
}

const tags = (taken: readonly [number, Delivery][]): number[] => taken.map(([tag]) => tag);

describe('unsettled deliveries', () => {
  it('are taken one by one, up to one, or all', () => {
    const unsettled = holding(1, 2, 3, 4, 5);
    expect(tags(unsettled.take(2, false))).toEqual([2]);
    expect(tags(unsettled.take(4, true))).toEqual([1, 3, 4]);
    expect(tags(unsettled.take(0, true))).toEqual([5]);
    expect(tags(unsettled.take(0, true))).toEqual([]);
  });

  it.each([
    [9n, false],
    [2n ** 63n, true],
    [0, false],
    [2, true],
    [9, true],
  ])('that are not there can not be taken: %s, multiple %s', (tag, multiple) => {
    const unsettled = holding(1, 3);
    expect(() => unsettled.take(tag, multiple)).toThrow(`PRECONDITION_FAILED - unknown delivery tag ${tag}`);
    expect(tags(unsettled.takeAll())).toEqual([1, 3]);
  });

  it('come back at their place, and only consumed ones count', () => {
    const unsettled = holding(1, 2, 3, 4);
    const taken = unsettled.take(2, true);
    expect(unsettled.consumedCount).toBe(1);
    unsettled.putBack(taken);
    expect(unsettled.consumedCount).toBe(2);
    expect(tags(unsettled.take(3, true))).toEqual([1, 2, 3]);
  });

  it('are counted, and so are the bytes of their bodies and properties', () => {
    const unsettled = holding(1, 2, 3, 4, 5);
    const sizes = (): number[] => [unsettled.count, unsettled.bytes];
    expect(sizes()).toEqual([5, 50]);
    unsettled.takeOne(5);
    const taken = unsettled.take(2, true);
    expect(sizes()).toEqual([2, 20]);
    unsettled.putBack(taken);
    expect(sizes()).toEqual([4, 40]);
    unsettled.takeAll();
    expect(sizes()).toEqual([0, 0]);
  });
});
