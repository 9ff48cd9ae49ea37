import { afterEach, describe, expect, it } from '@jest/globals';
import { idle, publishAll, to } from './engine.spec.support.js';
import type { FieldTable, Message } from './message/message.js';
import { RuledBroker, TO_DEAD } from './ruled-broker.spec.support.js';

const on = new RuledBroker();
afterEach(() => on.broker.close());

async function fresh(...queues: readonly string[]): Promise<void> {
  await on.fresh({ durable: true });
  for (const queue of queues) await on.declare(queue);
}

describe('dead letters', () => {
  it('go where a policy says, also those that expired while there was no broker', async () => {
    await fresh('dead');
    await on.connection.declareQueue('q', { arguments: { 'x-message-ttl': 1000 } });
    const definition = { 'dead-letter-exchange': '', 'dead-letter-routing-key': 'dead' };
    on.broker.registry.setPolicy('/', 'dlx', { pattern: '^q$', applyTo: 'queues', priority: 0, definition });
    publishAll(on.connection, 'q', ['a']);
    await on.restart({ afterMs: 2000 });
    expect(await on.drain('dead')).toEqual(['a']);
  });

  it('of very many that are too many leave little by little, all of them and in order', async () => {
    await fresh('dead');
    await on.connection.declareQueue('q', { arguments: TO_DEAD });
    const bodies = Array.from({ length: 3000 }, (_, i) => `${i}`);
    publishAll(on.connection, 'q', bodies);
    const definition = { 'max-length': 10 };
    const taken = await on.connection.get('q');
    on.broker.registry.setPolicy('/', 'limit', {
      pattern: '^q$',
      applyTo: 'queues',
      priority: 0,
      definition,
    });
    expect(taken?.queue.heldCount).toBeLessThan(300);
    while ((taken?.queue.heldCount ?? 0) > 1) await idle();
    expect(await on.drain('q')).toEqual(bodies.slice(-10));
    expect(await on.drain('dead')).toEqual(bodies.slice(1, -10));
  });

  it.each<readonly [string, FieldTable[string]]>([
    ['a text', 'abc'],
    ['a table', { toString: 'x' }],
    ['more than can be counted', 9_223_372_036_854_775_807n],
    ['a fraction', 1.5],
    ['less than nothing', -5],
  ])('have a count that counts again where a client made it up as %s', async (_, count) => {
    await fresh('dead');
    await on.connection.declareQueue('q', { arguments: TO_DEAD });
    const headers = { 'x-death': [{ queue: 'q', reason: 'rejected', count }] };
    on.connection.publish(to('q', 'a', { properties: { headers } }));
    (await on.connection.get('q'))?.discard();
    const letter = await on.connection.get('dead', { noAck: true });
    expect(letter?.message.properties.headers).toMatchObject({ 'x-death': [{ count: 2 }] });
  });
});

describe('an x-delayed-message exchange', () => {
  const delayed = (exchange: string, headers: FieldTable): Message => ({
    exchange,
    routingKey: '',
    properties: { deliveryMode: 2, headers: { 'x-delay': 1000, ...headers } },
    body: Buffer.from('a'),
  });

  async function prepare(source: string): Promise<void> {
    await on.connection.declareExchange('later', {
      type: 'x-delayed-message',
      arguments: { 'x-delayed-type': 'fanout' },
    });
    await on.connection.bindQueue('q', 'later', '');
    await on.connection.bindExchange({ source, destination: 'later', key: '' });
  }

  it('sends on from itself what another exchange has led to it', async () => {
    await fresh('q', 'other');
    await prepare('amq.fanout');
    await on.connection.bindQueue('other', 'amq.fanout', '');
    on.connection.publish(delayed('amq.fanout', {}));
    expect(await on.drain('other')).toEqual(['a']);
    await on.restart({ afterMs: 1000 });
    on.clock.advance(0);
    await idle();
    const delivery = await on.connection.get('q', { noAck: true });
    expect(delivery?.message.exchange).toBe('amq.fanout');
    expect(await on.drain('other')).toEqual([]);
  });

  it('sends on what deduplication let through to it', async () => {
    await fresh('q');
    await on.connection.declareExchange('once', {
      type: 'x-message-deduplication',
      arguments: { 'x-cache-size': 10 },
    });
    await prepare('once');
    for (let time = 0; time < 2; time++)
      on.connection.publish(delayed('once', { 'x-deduplication-header': 'id' }));
    on.clock.advance(1000);
    expect(await on.drain('q')).toEqual(['a']);
  });

  it('refuses an expiration that is none before it holds the message', async () => {
    await fresh('q');
    await prepare('amq.fanout');
    const message = delayed('later', {});
    const publish = (): unknown =>
      on.connection.publish({ ...message, properties: { ...message.properties, expiration: 'abc' } });
    expect(publish).toThrow("PRECONDITION_FAILED - invalid expiration 'abc': no_integer");
  });

  it.each([2n ** 63n - 1n, 2 ** 53, Infinity])('holds a message for a delay of %s', async (delay) => {
    await fresh('q');
    await prepare('amq.fanout');
    expect(on.connection.publish(delayed('later', { 'x-delay': delay }))).toBe('routed');
    await on.restart({ afterMs: 2 ** 40 });
    expect(await on.drain('q')).toEqual([]);
  });
});

describe('very many messages that expire together', () => {
  it.each([
    ['with a dead-letter exchange', TO_DEAD],
    ['without', {}],
  ])('do not hide from a get what lives behind them: %s', async (_, args) => {
    await fresh('dead');
    await on.connection.declareQueue('q', { arguments: args });
    for (let i = 0; i < 1000; i++)
      on.connection.publish(to('q', 'dead', { properties: { deliveryMode: 2, expiration: '100' } }));
    publishAll(on.connection, 'q', ['alive']);
    const now = on.clock.now.bind(on.clock);
    // The time has come, and no timer has run yet.
    on.clock.now = () => now() + 100;
    const getting = on.connection.get('q', { noAck: true });
    await idle();
    on.clock.now = now;
    for (let turn = 0; turn < 20; turn++) {
      on.clock.advance(turn === 0 ? 100 : 0);
      await idle();
    }
    expect((await getting)?.message.body.toString()).toBe('alive');
  });
});

describe('a broker that was closed', () => {
  it('does not try for ever what its store no longer takes', async () => {
    await fresh('dead');
    await on.connection.declareQueue('q', { arguments: TO_DEAD });
    publishAll(on.connection, 'q', Array<string>(3000).fill('a'));
    await on.connection.durable();
    const timers: number[] = [];
    const setTimer = on.clock.setTimer.bind(on.clock);
    on.clock.setTimer = (delayMs, callback) => {
      timers.push(delayMs);
      return setTimer(delayMs, callback);
    };
    const definition = { 'max-length': 1 };
    on.broker.registry.setPolicy('/', 'limit', {
      pattern: '^q$',
      applyTo: 'queues',
      priority: 0,
      definition,
    });
    await on.broker.close();
    await idle();
    timers.length = 0;
    on.clock.advance(60_000);
    await idle();
    expect(timers).toEqual([]);
  });
});

describe('a queue with x-expires', () => {
  it('that could not go while the disk failed goes when it is well', async () => {
    await fresh();
    await on.connection.declareQueue('q', { arguments: { 'x-expires': 1000 } });
    on.disk.fault = (operation) =>
      operation === 'write' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined;
    publishAll(on.connection, 'q', ['a']);
    await expect(on.connection.durable()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    on.clock.advance(1000);
    expect(on.connection.hasQueue('q')).toBe(true);
    on.disk.fault = undefined;
    for (let time = 0; time < 40 && on.broker.failure !== undefined; time++) {
      on.clock.advance(500);
      for (let turn = 0; turn < 20; turn++) await idle();
    }
    on.clock.advance(1000);
    expect(on.connection.hasQueue('q')).toBe(false);
  });
});
