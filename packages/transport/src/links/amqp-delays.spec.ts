import { describe, expect, it } from '@jest/globals';
import { ManualClock, type Message } from '@nestmq/broker';
import { AmqpDelays, DELAYS_MS, originOf, roundedDelayMs } from './amqp-delays.js';
import type { PublishCallback } from './link.js';

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));
const toQueue = (headers = {}): Message => ({
  exchange: '',
  routingKey: 'q',
  properties: { expiration: '5', headers },
  body: Buffer.from('a'),
});

function delaysWith({ maxWaiting = 10, unroutable = 0 } = {}) {
  const clock = new ManualClock();
  const declared: string[] = [];
  const published: Message[] = [];
  let left = unroutable;
  const note =
    (what: string) =>
    async (name: string): Promise<void> =>
      void declared.push(`${what} ${name}`);
  const delays = new AmqpDelays({
    clock,
    maxWaiting,
    queueType: 'quorum',
    publish(message: Message, done: PublishCallback) {
      published.push(message);
      if (left-- > 0) done(undefined, true);
      else done();
    },
    topology: {
      declareQueue: note('queue'),
      declareExchange: note('exchange'),
      bindExchange: note('bind exchange'),
      bindQueue: note('bind queue'),
      assertQueue: note('assert'),
    },
  });
  return { clock, delays, declared, published };
}

describe('delays over AMQP', () => {
  it.each([
    [1, 50],
    [50, 50],
    [99, 50],
    [1000, 1000],
    [3_599_999, 1_800_000],
    [30 * 86_400_000, 43_200_000],
  ])('are rounded down to one of a few: %d ms to %d ms', (delayMs, expected) => {
    expect(roundedDelayMs(delayMs)).toBe(expected);
  });

  it('come to their end in few steps', () => {
    const steps = (delayMs: number): number => {
      let count = 0;
      for (let left = delayMs; left > 0; left -= roundedDelayMs(left)) count++;
      return count;
    };
    expect(DELAYS_MS.every((one) => steps(one) === 1)).toBe(true);
    expect(Math.max(...Array.from({ length: 5000 }, (_, i) => steps(i * 1237)))).toBeLessThanOrEqual(16);
  });

  it('say when a message is due, and drop what would make it leave early or go in circles', async () => {
    const { clock, delays, published } = delaysWith();
    const headers = { mine: 1, 'x-death': [], 'x-first-death-queue': 'q', 'x-last-death-queue': 'q' };
    delays.publish(toQueue(headers), 70, () => {}, {});
    await turn();
    expect(published).toEqual([
      {
        exchange: '',
        routingKey: 'q.wait.50',
        properties: { headers: { mine: 1, 'nestmq-wait': 50, 'x-nestmq-due-at': clock.now() + 70 } },
        body: Buffer.from('a'),
      },
    ]);
  });

  it('declare a wait queue once, and again after an hour, since one that is not used is removed', async () => {
    const { clock, delays, declared } = delaysWith();
    const counts: number[] = [];
    for (const ms of [0, 3_599_999, 1]) {
      clock.advance(ms);
      delays.publish(toQueue(), 50, () => {}, {});
      delays.publish(toQueue(), 50, () => {}, {});
      await turn();
      counts.push(declared.filter((one) => one === 'queue q.wait.50').length);
    }
    expect(counts).toEqual([1, 1, 2]);
  });

  it('declare a wait queue anew that somebody has deleted', async () => {
    const { delays, declared, published } = delaysWith({ unroutable: 1 });
    const ended = new Promise<unknown>((resolve) => {
      delays.publish(toQueue(), 50, (error, unroutable) => resolve([error, unroutable]), {});
    });
    expect(await ended).toEqual([undefined, undefined]);
    expect(published).toHaveLength(2);
    expect(declared.filter((one) => one === 'queue q.wait.50')).toHaveLength(2);
  });

  it('wait for their wait queues in bounded numbers', () => {
    const { delays } = delaysWith({ maxWaiting: 1 });
    delays.publish(toQueue(), 50, () => {}, {});
    expect(() => delays.publish(toQueue(), 50, () => {}, {})).toThrow('1 delayed publishes wait');
  });

  it('hide the exchange that messages leave by', () => {
    expect(originOf('orders.due', { 'nestmq-wait': 50 })).toBe('orders');
    expect(originOf('orders.due', undefined)).toBe('orders.due');
    expect(originOf('orders', { 'nestmq-wait': 50 })).toBe('orders');
  });
});
