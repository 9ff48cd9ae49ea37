import { describe, expect, it } from '@jest/globals';
import { ByteWriter } from '../message/table-codec.js';
import { Commit } from './commit.js';
import { positionOf, readRecord, RECORD_TYPE } from './record.js';

/** How many settlements the records of a commit hold. */
function settledIn(commit: Commit): number {
  let count = 0;
  for (let at = 0; at < commit.out.end;) {
    const check = readRecord(commit.bytes(), at);
    if (!check.ok) throw new Error(check.why);
    if (check.record.type === RECORD_TYPE.settle) count += (check.record.length - 12) / 12;
    at += check.record.length;
  }
  return count;
}

describe('a commit', () => {
  it('with more settlements than it takes leaves the rest, and all releases, to the next one', () => {
    const first = new Commit(1, 32, new ByteWriter());
    const count = 1024 * 1024 + 200_000;
    for (let i = 0; i < count; i++) {
      first.settle(1, i + 1);
      // In turn, so that no two releases make one.
      first.release(positionOf(1 + (i % 2), 100), 1);
    }
    first.seal();
    const second = new Commit(1, first.end, new ByteWriter());
    second.takeOver(first);
    second.seal();
    expect([settledIn(first), settledIn(second)]).toEqual([1024 * 1024, 200_000]);
    expect(first.releasedCounts.length).toBe(0);
    expect(second.releasedCounts.reduce((a, b) => a + b, 0)).toBe(count);
    expect(second.releasedSegments.length).toBe(second.releasedCounts.length);
  });
});
