import { beforeEach, describe, expect, it } from '@jest/globals';
import type { WritePacket } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { PendingRequests } from './pending-requests.js';

describe('a request that waits for its answer', () => {
  let clock: ManualClock;
  let pending: PendingRequests;
  let told: WritePacket[];
  const timedOut = (): Error => new Error('too late');
  const add = (timeoutMs = 1000): void =>
    pending.add('a', { timeoutMs, timedOut, callback: (packet) => void told.push(packet) });
  const turns = async (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(resolve);
    });
  beforeEach(() => {
    clock = new ManualClock();
    pending = new PendingRequests(clock);
    told = [];
  });

  it('is told each answer until the last, and then is gone', () => {
    add();
    pending.onReply('a', () => ({ response: 1 }));
    pending.onReply('a', () => ({ response: 2, isDisposed: true }));
    pending.onReply('a', () => ({ response: 3 }));
    pending.fail('a', new Error('late'));
    clock.advance(10_000);
    expect(told).toEqual([{ response: 1 }, { response: 2, isDisposed: true }]);
    expect(pending.size).toBe(0);
  });

  it('fails when no answer comes in time, the first or a later one', () => {
    add();
    clock.advance(999);
    pending.onReply('a', () => ({ response: 1 }));
    clock.advance(999);
    expect(told).toEqual([{ response: 1 }]);
    clock.advance(1);
    expect(told[1]).toEqual({ err: new Error('too late') });
    expect(pending.size).toBe(0);
  });

  it('waits for ever when it should', () => {
    add(0);
    clock.advance(2 ** 31);
    expect(pending.size).toBe(1);
  });

  it('gets answers in order, though reading some takes longer, and not after its end', async () => {
    add();
    let give: (packet: WritePacket) => void = () => {};
    pending.onReply(
      'a',
      async () =>
        new Promise<WritePacket>((resolve) => {
          give = resolve;
        }),
    );
    pending.onReply('a', async () => ({ response: 2 }));
    pending.onReply('a', () => {
      throw new Error('unreadable');
    });
    await turns();
    give({ response: 1 });
    await turns();
    expect(told.map(({ response, err }) => response ?? String(err))).toEqual(['Error: unreadable']);
  });

  it('is not told anything once nobody waits', async () => {
    add();
    pending.onReply('a', async () => ({ response: 1 }));
    pending.remove('a');
    await turns();
    clock.advance(10_000);
    let read = 0;
    pending.onReply('a', () => ({ response: read++ }));
    expect([told, read, pending.has('a')]).toEqual([[], 0, false]);
  });

  it('fails with all others when the link is gone', () => {
    add();
    pending.add('b', { timeoutMs: 0, timedOut, callback: (packet) => void told.push(packet) });
    const err = new Error('gone');
    pending.failAll(err);
    expect(told).toEqual([{ err }, { err }]);
  });

  it('can not have the id of another', () => {
    add();
    expect(add).toThrow("A request with the correlation id 'a' is under way.");
  });
});
