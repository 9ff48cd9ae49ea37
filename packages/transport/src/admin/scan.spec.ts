import { describe, expect, it } from '@jest/globals';
import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';
import { Moving } from './moving.js';
import { scan } from './scan.js';

const BOUNDS = { keptMax: 4, keptBytesMax: 100, lateMax: 3 };

/** A queue whose deliveries note what became of them. */
function queueOf(bodies: readonly string[]): {
  link: Link;
  waiting: string[];
  held: number;
  heldMax: number;
} {
  const queue = {
    waiting: [...bodies],
    held: 0,
    heldMax: 0,
    link: {
      queueState: async () => ({ name: 'q', ready: queue.waiting.length, unsettled: 0, consumers: 0 }),
      take: async () => {
        const body = queue.waiting.shift();
        if (body === undefined) return undefined;
        queue.heldMax = Math.max(queue.heldMax, ++queue.held);
        return deliveryOf(
          body,
          () => {
            queue.held--;
          },
          () => queue.waiting.unshift(body),
        );
      },
    } as unknown as Link,
  };
  return queue;
}

function deliveryOf(body: string, onSettle: () => void, onRequeue: () => void): LinkDelivery {
  const message = { exchange: '', routingKey: 'q', properties: {}, body: Buffer.from(body) };
  let settled = false;
  const settle = (): boolean => {
    if (settled) return false;
    settled = true;
    onSettle();
    return true;
  };
  return {
    message,
    redelivered: false,
    get settled() {
      return settled;
    },
    ack: () => void settle(),
    requeue: () => {
      if (settle()) onRequeue();
    },
  };
}

describe('a scan of a queue', () => {
  it('stops before it holds more messages than it may, and gives all of them back', async () => {
    const queue = queueOf(['1', '2', '3', '4', '5', '6']);
    expect(await scan(queue.link, 'q', async () => 'keep', BOUNDS)).toBe(false);
    expect(queue).toMatchObject({ held: 0, heldMax: 4 });
    expect(queue.waiting.toSorted()).toEqual(['1', '2', '3', '4', '5', '6']);
  });

  it('stops before it holds more bytes than it may', async () => {
    const queue = queueOf(['x'.repeat(60), 'y'.repeat(60), 'z']);
    expect(await scan(queue.link, 'q', async () => 'keep', BOUNDS)).toBe(false);
    expect(queue).toMatchObject({ held: 0, heldMax: 2 });
  });

  it('goes on as long as what it sees is settled', async () => {
    const queue = queueOf(Array.from({ length: 50 }, (_, id) => String(id)));
    const settled: string[] = [];
    const judge = async (delivery: LinkDelivery): Promise<'settled'> => {
      delivery.ack();
      settled.push(delivery.message.body.toString());
      return 'settled';
    };
    expect(await scan(queue.link, 'q', judge, BOUNDS)).toBe(true);
    expect(settled).toHaveLength(50);
    expect(queue).toMatchObject({ held: 0, heldMax: 1 });
  });

  it('ends though messages come in as fast as it goes', async () => {
    const queue = queueOf(['1', '2']);
    const judge = async (delivery: LinkDelivery): Promise<'settled'> => {
      delivery.ack();
      queue.waiting.push('more');
      return 'settled';
    };
    expect(await scan(queue.link, 'q', judge, BOUNDS)).toBe(true);
    expect(queue.waiting).toEqual(Array.from({ length: 2 }, () => 'more'));
  });

  it('gives back what it holds when the queue fails', async () => {
    const queue = queueOf(['1', '2', '3']);
    const judge = async ({ message }: LinkDelivery): Promise<'keep'> => {
      if (message.body.toString() === '3') throw new Error('the broker is away');
      return 'keep';
    };
    await expect(scan(queue.link, 'q', judge, BOUNDS)).rejects.toThrow('the broker is away');
    expect(queue.held).toBe(0);
    expect(queue.waiting.toSorted()).toEqual(['1', '2', '3']);
  });
});

describe('moving deliveries', () => {
  const target: ForwardedMessage = { exchange: '', routingKey: 'there', properties: {} };

  it('gives back what fails, tells the first failure, and begins nothing more', async () => {
    const back: number[] = [];
    let moves = 0;
    const link = {
      forward: async () => {
        if (++moves === 2) throw new Error('the queue is full');
      },
    } as unknown as Link;
    const moving = new Moving(link);
    const move = (id: number): Promise<void> =>
      moving.move(
        deliveryOf(
          String(id),
          () => {},
          () => back.push(id),
        ),
        target,
      );
    await Promise.all([move(1), move(2), move(3)]);
    await expect(moving.end()).rejects.toThrow('the queue is full');
    expect(back).toEqual([2]);
    const late = deliveryOf(
      '4',
      () => {},
      () => back.push(4),
    );
    await expect(moving.move(late, target)).rejects.toThrow('the queue is full');
    expect({ moves, settled: late.settled }).toEqual({ moves: 3, settled: false });
  });

  it('has at most a hundred under way', async () => {
    const ends: (() => void)[] = [];
    const link = { forward: () => new Promise<void>((resolve) => ends.push(resolve)) } as unknown as Link;
    const moving = new Moving(link);
    let begun = 0;
    const all = (async () => {
      for (let id = 0; id < 150; id++) {
        await moving.move(
          deliveryOf(
            String(id),
            () => {},
            () => {},
          ),
          target,
        );
        begun++;
      }
      await moving.end();
    })();
    for (let turn = 0; turn < 500; turn++) await Promise.resolve();
    expect({ begun, underWay: ends.length }).toEqual({ begun: 99, underWay: 100 });
    let ended = 0;
    while (ended < 150) {
      ends[ended]?.();
      if (ends[ended] !== undefined) ended++;
      await new Promise(setImmediate);
    }
    await all;
    expect(begun).toBe(150);
  });
});
