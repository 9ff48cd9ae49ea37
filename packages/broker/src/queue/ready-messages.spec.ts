import { describe, expect, it } from '@jest/globals';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { MessageStore } from '../store/message-store.js';
import { ReadyMessages } from './ready-messages.js';

const COUNT = 1000;

/** Holds messages of one length, one after the other, none of them in memory; says how many each read was asked for. */
class OnDisk {
  readonly reads: number[] = [];

  constructor(private readonly bodyBytes: number) {}

  peek(): undefined {
    return undefined;
  }

  async read(positions: readonly number[], bytesMax: number): Promise<Message[]> {
    this.reads.push(positions.length);
    const count = Math.max(1, Math.ceil(bytesMax / this.bodyBytes));
    const body = Buffer.alloc(this.bodyBytes);
    return positions.slice(0, count).map(() => ({ exchange: '', routingKey: '', properties: {}, body }));
  }
}

/** Takes all there is, as fast as it comes; resolves with what was read. */
async function drain(bodyBytes: number): Promise<number[]> {
  const store = new OnDisk(bodyBytes);
  const ready = new ReadyMessages({
    store: store as unknown as MessageStore,
    onLoaded: () => {},
    onReadFailure: () => {},
    later: () => {},
  });
  for (let i = 0; i < COUNT; i++) ready.push(i + 1, i * bodyBytes);
  const sequences: number[] = [];
  while (ready.length > 0) {
    for (let one = ready.take(); one !== undefined; one = ready.take()) sequences.push(one.entry.sequence);
    await new Promise(setImmediate);
  }
  expect(sequences).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
  return store.reads;
}

describe('a backlog', () => {
  it('of long messages is read without asking for many more than a read brings', async () => {
    const asked = (await drain(16 * 1024)).reduce((sum, count) => sum + count, 0);
    expect(asked).toBeLessThan(COUNT * 1.2);
  });

  it('of small messages is read many at a time', async () => {
    const reads = await drain(100);
    expect(Math.max(...reads)).toBeGreaterThanOrEqual(LIMITS.readAheadMessagesMin);
    expect(reads.length).toBeLessThan(10);
  });
});
