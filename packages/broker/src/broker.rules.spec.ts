import { afterEach, describe, expect, it } from '@jest/globals';
import { consumeInto, idle, publishAll, to } from './engine.spec.support.js';
import type { FieldTable, Message } from './message/message.js';
import { RuledBroker, TO_DEAD } from './ruled-broker.spec.support.js';

const on = new RuledBroker();
afterEach(() => on.broker.close());

describe('priorities', () => {
  it('come before age, through a restart', async () => {
    await on.fresh({ durable: true });
    await on.declare('q', { 'x-max-priority': 5 });
    const publish = (body: string, priority?: number): string =>
      on.connection.publish(
        to('q', body, { properties: { deliveryMode: 2, ...(priority && { priority }) } }),
      );
    publish('low');
    publish('five', 5);
    publish('nine', 9);
    publish('two', 2);
    const first = await on.connection.get('q');
    expect(first?.message.body.toString()).toBe('five');
    publish('two again', 2);
    first?.requeue({ failed: false });
    await on.restart();
    expect(await on.drain('q')).toEqual(['five', 'nine', 'two', 'two again', 'low']);
  });

  it('of consumers come before turns, as long as they have credit', async () => {
    await on.fresh();
    await on.declare('q');
    const { inbox: low } = consumeInto(on.connection, 'q');
    const { inbox: high } = consumeInto(on.connection, 'q', { priority: 10, prefetchCount: 2 });
    publishAll(on.connection, 'q', ['a', 'b', 'c']);
    await idle();
    expect([high.bodies, low.bodies]).toEqual([['a', 'b'], ['c']]);
    high.deliveries[0]?.ack();
    publishAll(on.connection, 'q', ['d', 'e']);
    await idle();
    expect([high.bodies, low.bodies]).toEqual([
      ['a', 'b', 'd'],
      ['c', 'e'],
    ]);
  });
});

describe('a single active consumer', () => {
  it('gets all until it goes; then the next one does', async () => {
    await on.fresh();
    await on.declare('q', { 'x-single-active-consumer': true });
    const first = consumeInto(on.connection, 'q', { prefetchCount: 1 });
    const second = consumeInto(on.connection, 'q');
    publishAll(on.connection, 'q', ['a', 'b', 'c']);
    await idle();
    expect([first.inbox.bodies, second.inbox.bodies]).toEqual([['a'], []]);
    on.connection.cancel(first.consumer);
    await idle();
    expect(second.inbox.bodies).toEqual(['b', 'c']);
    expect(() => consumeInto(on.connection, 'q', { exclusive: true })).toThrow('in exclusive use');
  });
});

describe('a quorum queue', () => {
  it('gives a message up after so many returns, whatever they were', async () => {
    await on.fresh({ durable: true });
    await on.declare('dead');
    await on.declare('q', { 'x-queue-type': 'quorum', 'x-delivery-limit': 2, ...TO_DEAD });
    publishAll(on.connection, 'q', ['a']);
    const counts: (number | undefined)[] = [];
    for (const failed of [true, false]) {
      const delivery = await on.connection.get('q');
      counts.push(delivery?.deliveryCount);
      delivery?.requeue({ failed });
    }
    await on.restart();
    const last = await on.connection.get('q');
    counts.push(last?.deliveryCount);
    expect(counts).toEqual([0, 1, 2]);
    last?.requeue({ failed: true });
    expect(on.count('q')).toBe(0);
    const [letter] = await on.take('dead');
    expect(letter?.properties.headers?.['x-first-death-reason']).toBe('delivery_limit');
  });

  it('delays retries, longer each time, also through a restart', async () => {
    await on.fresh({ durable: true });
    await on.declare('q', {
      'x-queue-type': 'quorum',
      'x-delayed-retry-type': 'failed',
      'x-delayed-retry-min': 1000,
      'x-delayed-retry-max': 1500,
    });
    publishAll(on.connection, 'q', ['a', 'b']);
    (await on.connection.get('q'))?.requeue({ failed: false });
    const first = await on.connection.get('q');
    expect(first?.message.body.toString()).toBe('a');
    first?.requeue({ failed: true });
    expect(on.count('q')).toBe(1);
    on.clock.advance(1499);
    expect(on.count('q')).toBe(1);
    on.clock.advance(1);
    expect(on.count('q')).toBe(2);
    (await on.connection.get('q'))?.requeue({ failed: true });
    await on.restart();
    expect(on.count('q')).toBe(1);
    on.clock.advance(1499);
    expect(on.count('q')).toBe(1);
    on.clock.advance(1);
    expect(await on.drain('q')).toEqual(['a', 'b']);
  });
});

describe('an x-delayed-message exchange', () => {
  const delayed = (body: string, delay?: number): Message => ({
    exchange: 'later',
    routingKey: 'q',
    properties: { deliveryMode: 2, ...(delay !== undefined && { headers: { 'x-delay': delay } }) },
    body: Buffer.from(body),
  });

  async function prepare(): Promise<void> {
    await on.fresh({ durable: true });
    await on.declare('q');
    await on.connection.declareExchange('later', {
      type: 'x-delayed-message',
      arguments: { 'x-delayed-type': 'direct' },
    });
    await on.connection.bindQueue('q', 'later', 'q');
  }

  it('holds a message for its delay, exactly, and says so in its header', async () => {
    await prepare();
    expect(on.connection.publish(delayed('late', 2000))).toBe('routed');
    expect(on.connection.publish(delayed('soon', 1000))).toBe('routed');
    expect(on.connection.publish(delayed('now'))).toBe('routed');
    expect(await on.drain('q')).toEqual(['now']);
    on.clock.advance(999);
    expect(await on.drain('q')).toEqual([]);
    on.clock.advance(1);
    const [soon] = await on.take('q');
    expect(soon?.body.toString()).toBe('soon');
    expect(soon?.properties.headers?.['x-delay']).toBe(-1000);
    on.clock.advance(1000);
    expect(await on.drain('q')).toEqual(['late']);
  });

  it('holds them through a restart, and sends on what fell due meanwhile', async () => {
    await prepare();
    on.connection.publish(delayed('a', 1000));
    on.connection.publish(delayed('b', 3000));
    await on.connection.durable();
    await on.broker.close();
    on.clock.advance(1500);
    await on.start(on.disk);
    await idle();
    on.clock.advance(0);
    expect(await on.drain('q')).toEqual(['a']);
    await on.restart();
    expect(await on.drain('q')).toEqual([]);
    on.clock.advance(1500);
    expect(await on.drain('q')).toEqual(['b']);
    await on.restart();
    expect(await on.drain('q')).toEqual([]);
  });

  it('routes at its time: to nobody, it is dropped; deleted, it holds nothing', async () => {
    await prepare();
    on.connection.publish(delayed('a', 1000));
    await on.connection.unbindQueue('q', 'later', 'q');
    on.clock.advance(1000);
    expect(await on.drain('q')).toEqual([]);
    on.connection.publish(delayed('b', 1000));
    await on.connection.deleteExchange('later');
    await on.restart();
    on.clock.advance(1000);
    expect(await on.drain('q')).toEqual([]);
  });

  it('needs the type that it has when it is time', async () => {
    await on.fresh();
    const declareWith = (args: FieldTable) =>
      on.connection.declareExchange('x', { type: 'x-delayed-message', arguments: args });
    const text = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    await expect(declareWith({})).rejects.toThrow(text);
    await expect(declareWith({ 'x-delayed-type': 'foo' })).rejects.toThrow(text);
  });
});
