import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import { InboxMemory } from './inbox-memory.js';

describe('InboxMemory', () => {
  it('forgets when the window is over, counted from when it was handled', () => {
    const clock = new ManualClock(1000);
    const memory = new InboxMemory({ windowMs: 100, max: 10, clock });
    memory.add('a', 950, true);
    memory.add('b', 1000, false);
    clock.advance(49);
    expect([memory.has('a'), memory.has('b')]).toEqual([true, true]);
    clock.advance(1);
    expect([memory.has('a'), memory.has('b')]).toEqual([false, true]);
    memory.add('c', clock.now(), true);
    expect(memory.size).toBe(2);
  });

  it('keeps the latest when there are too many', () => {
    const memory = new InboxMemory({ windowMs: 100, max: 2, clock: new ManualClock(0) });
    for (const id of ['a', 'b', 'c']) memory.add(id, 0, true);
    expect(['a', 'b', 'c'].map((id) => memory.has(id))).toEqual([false, true, true]);
    expect(memory.size).toBe(2);
  });

  it('does not remember longer what comes again', () => {
    const clock = new ManualClock(0);
    const memory = new InboxMemory({ windowMs: 100, max: 2, clock });
    memory.add('a', 0, true);
    clock.advance(60);
    memory.add('a', 60, true);
    clock.advance(40);
    expect(memory.has('a')).toBe(false);
    memory.add('a', 100, false);
    expect(memory.has('a')).toBe(true);
  });

  it('knows what is on the disk too', () => {
    const memory = new InboxMemory({ windowMs: 100, max: 2, clock: new ManualClock(0) });
    memory.add('a', 0, false);
    expect([memory.isWritten('a'), memory.isWritten('b')]).toEqual([false, false]);
    memory.add('a', 0, true);
    memory.add('a', 0, false);
    expect(memory.isWritten('a')).toBe(true);
  });
});
