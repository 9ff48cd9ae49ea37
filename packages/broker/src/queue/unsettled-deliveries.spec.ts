import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { MemoryStore } from '../store/memory-store.js';
import type { Turn } from '../turns.js';
import { Consumer } from './consumer.js';
import type { Delivery } from './delivery.js';
import { Queue } from './queue.js';

/** A queue with `count` ready messages, sequences from 1, and the turns that it asked for. */
function queueWith(count: number): { queue: Queue; runTurns: () => void } {
  const turns: Turn[] = [];
  const nothing = (): void => {};
  const store = new MemoryStore();
  const queue = new Queue(
    { id: 1, name: 'q', durable: true, autoDelete: false, owner: undefined },
    {
      store,
      schedule: (one) => turns.push(one),
      clock: new ManualClock(),
      deadLetter: () => 'gone',
      awaitRoutes: nothing,
      deadLetterRejected: nothing,
      onIdle: nothing,
      onUnused: nothing,
      onForgotten: nothing,
      later: nothing,
      onReadFailure: nothing,
    },
  );
  const message = { exchange: '', routingKey: 'q', properties: {}, body: Buffer.alloc(1) };
  for (let i = 0; i < count; i++) queue.enqueue(store.publish(message, [1], 0), message);
  return {
    queue,
    runTurns: () => {
      for (const one of turns.splice(0)) one.turn();
    },
  };
}

function consumerOf(queue: Queue, prefetchCount: number): { consumer: Consumer; deliveries: Delivery[] } {
  const deliveries: Delivery[] = [];
  const consumer = queue.addConsumer({
    tag: 't',
    prefetchCount,
    noAck: false,
    exclusive: false,
    onDelivery: (delivery) => deliveries.push(delivery),
    onCancel: () => {},
  });
  return { consumer, deliveries };
}

describe('what is unsettled in a queue', () => {
  it('is found by its sequence until it is settled, whoever holds it', () => {
    const { queue, runTurns } = queueWith(6);
    const { consumer, deliveries } = consumerOf(queue, 2);
    runTurns();
    consumer.cancel();
    const init = { tag: '', prefetchCount: 0, noAck: false, exclusive: false };
    const holder = new Consumer(queue, { ...init, onDelivery: () => {}, onCancel: () => {} });
    const got: Delivery[] = [];
    queue.get({
      holder,
      onMessage: (one) => got.push(one),
      onEmpty: () => {},
      onFailure: () => {},
    });
    const last = consumerOf(queue, 1);
    runTurns();
    const held = [...deliveries, ...got, ...last.deliveries];
    expect(held.map(({ entry }) => entry.sequence)).toEqual([1, 2, 3, 4]);
    for (const { entry } of held) expect(queue.find(entry.sequence)).toBe(entry);
    // As the store tells where it has brought a message.
    queue.find(2, 1002);
    expect(deliveries[1]?.entry.position).toBe(1002);
    deliveries[0]?.ack();
    expect(queue.find(1)).toBeUndefined();
    got[0]?.requeue({ failed: false });
    expect(queue.find(3)).toMatchObject({ deliveryCount: 0 });
    last.deliveries[0]?.ack();
    runTurns();
    expect(last.deliveries.map(({ entry }) => entry.sequence)).toEqual([4, 3]);
    expect(queue.find(3)).toBe(last.deliveries[1]?.entry);
    expect(queue.unsettledCount).toBe(2);
  });

  it('stays when the queue is purged, and is not what the purge counts', () => {
    const { queue, runTurns } = queueWith(5);
    const { consumer, deliveries } = consumerOf(queue, 2);
    runTurns();
    consumer.cancel();
    expect(queue.purge()).toBe(3);
    expect(queue.unsettledCount).toBe(2);
    expect(queue.find(4)).toBeUndefined();
    expect(queue.find(2)).toBe(deliveries[1]?.entry);
  });
});
