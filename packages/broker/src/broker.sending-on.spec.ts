import { afterEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import type { Connection } from './connection.js';
import { idle, publishAll, to } from './engine.spec.support.js';
import type { FieldTable, Message } from './message/message.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

const TO_DEAD = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };

let clock: ManualClock;
let disk: SimulatedFileSystem;
let broker: Broker;
let connection: Connection;

afterEach(() => broker.close());

async function start(): Promise<void> {
  broker = await openBroker({
    clock,
    onFailure: () => {},
    fileSystem: disk,
    directory: '/data',
    settlementDelayMs: 0,
  });
  connection = broker.connect();
}

async function fresh(...queues: readonly string[]): Promise<void> {
  clock = new ManualClock();
  disk = new SimulatedFileSystem();
  await start();
  for (const queue of queues) await connection.declareQueue(queue);
}

/** Nobody runs for so long, once all is durable. */
async function stopFor(ms: number): Promise<void> {
  await connection.durable();
  await broker.close();
  clock.advance(ms);
  await start();
}

async function drain(queue: string): Promise<string[]> {
  await idle();
  const bodies: string[] = [];
  for (;;) {
    const delivery = await connection.get(queue, { noAck: true });
    if (delivery === undefined) return bodies;
    bodies.push(delivery.message.body.toString());
  }
}

describe('dead letters', () => {
  it('go where a policy says, also those that expired while there was no broker', async () => {
    await fresh('dead');
    await connection.declareQueue('q', { arguments: { 'x-message-ttl': 1000 } });
    const definition = { 'dead-letter-exchange': '', 'dead-letter-routing-key': 'dead' };
    broker.registry.setPolicy('/', 'dlx', { pattern: '^q$', applyTo: 'queues', priority: 0, definition });
    publishAll(connection, 'q', ['a']);
    await stopFor(2000);
    expect(await drain('dead')).toEqual(['a']);
  });

  it('of very many that are too many leave little by little, all of them and in order', async () => {
    await fresh('dead');
    await connection.declareQueue('q', { arguments: TO_DEAD });
    const bodies = Array.from({ length: 3000 }, (_, i) => `${i}`);
    publishAll(connection, 'q', bodies);
    const definition = { 'max-length': 10 };
    const taken = await connection.get('q');
    broker.registry.setPolicy('/', 'limit', { pattern: '^q$', applyTo: 'queues', priority: 0, definition });
    expect(taken?.queue.heldCount).toBeLessThan(300);
    while ((taken?.queue.heldCount ?? 0) > 1) await idle();
    expect(await drain('q')).toEqual(bodies.slice(-10));
    expect(await drain('dead')).toEqual(bodies.slice(1, -10));
  });

  it.each<readonly [string, FieldTable[string]]>([
    ['a text', 'abc'],
    ['a table', { toString: 'x' }],
    ['more than can be counted', 9_223_372_036_854_775_807n],
    ['a fraction', 1.5],
    ['less than nothing', -5],
  ])('have a count that counts again where a client made it up as %s', async (_, count) => {
    await fresh('dead');
    await connection.declareQueue('q', { arguments: TO_DEAD });
    const headers = { 'x-death': [{ queue: 'q', reason: 'rejected', count }] };
    connection.publish(to('q', 'a', { properties: { headers } }));
    (await connection.get('q'))?.discard();
    const letter = await connection.get('dead', { noAck: true });
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
    await connection.declareExchange('later', {
      type: 'x-delayed-message',
      arguments: { 'x-delayed-type': 'fanout' },
    });
    await connection.bindQueue('q', 'later', '');
    await connection.bindExchange({ source, destination: 'later', key: '' });
  }

  it('sends on from itself what another exchange has led to it', async () => {
    await fresh('q', 'other');
    await prepare('amq.fanout');
    await connection.bindQueue('other', 'amq.fanout', '');
    connection.publish(delayed('amq.fanout', {}));
    expect(await drain('other')).toEqual(['a']);
    await stopFor(1000);
    clock.advance(0);
    await idle();
    const delivery = await connection.get('q', { noAck: true });
    expect(delivery?.message.exchange).toBe('amq.fanout');
    expect(await drain('other')).toEqual([]);
  });

  it('sends on what deduplication let through to it', async () => {
    await fresh('q');
    await connection.declareExchange('once', {
      type: 'x-message-deduplication',
      arguments: { 'x-cache-size': 10 },
    });
    await prepare('once');
    for (let time = 0; time < 2; time++)
      connection.publish(delayed('once', { 'x-deduplication-header': 'id' }));
    clock.advance(1000);
    expect(await drain('q')).toEqual(['a']);
  });

  it('refuses an expiration that is none before it holds the message', async () => {
    await fresh('q');
    await prepare('amq.fanout');
    const message = delayed('later', {});
    const publish = (): unknown =>
      connection.publish({ ...message, properties: { ...message.properties, expiration: 'abc' } });
    expect(publish).toThrow("PRECONDITION_FAILED - invalid expiration 'abc': no_integer");
  });

  it.each([2n ** 63n - 1n, 2 ** 53, Infinity])('holds a message for a delay of %s', async (delay) => {
    await fresh('q');
    await prepare('amq.fanout');
    expect(connection.publish(delayed('later', { 'x-delay': delay }))).toBe('routed');
    await stopFor(2 ** 40);
    expect(await drain('q')).toEqual([]);
  });
});

describe('very many messages that expire together', () => {
  it.each([
    ['with a dead-letter exchange', TO_DEAD],
    ['without', {}],
  ])('do not hide from a get what lives behind them: %s', async (_, args) => {
    await fresh('dead');
    await connection.declareQueue('q', { arguments: args });
    for (let i = 0; i < 1000; i++)
      connection.publish(to('q', 'dead', { properties: { deliveryMode: 2, expiration: '100' } }));
    publishAll(connection, 'q', ['alive']);
    const now = clock.now.bind(clock);
    // The time has come, and no timer has run yet.
    clock.now = () => now() + 100;
    const getting = connection.get('q', { noAck: true });
    await idle();
    clock.now = now;
    for (let turn = 0; turn < 20; turn++) {
      clock.advance(turn === 0 ? 100 : 0);
      await idle();
    }
    expect((await getting)?.message.body.toString()).toBe('alive');
  });
});

describe('a broker that was closed', () => {
  it('does not try for ever what its store no longer takes', async () => {
    await fresh('dead');
    await connection.declareQueue('q', { arguments: TO_DEAD });
    publishAll(connection, 'q', Array<string>(3000).fill('a'));
    await connection.durable();
    const timers: number[] = [];
    const setTimer = clock.setTimer.bind(clock);
    clock.setTimer = (delayMs, callback) => {
      timers.push(delayMs);
      return setTimer(delayMs, callback);
    };
    const definition = { 'max-length': 1 };
    broker.registry.setPolicy('/', 'limit', { pattern: '^q$', applyTo: 'queues', priority: 0, definition });
    await broker.close();
    await idle();
    timers.length = 0;
    clock.advance(60_000);
    await idle();
    expect(timers).toEqual([]);
  });
});

describe('a queue with x-expires', () => {
  it('that could not go while the disk failed goes when it is well', async () => {
    await fresh();
    await connection.declareQueue('q', { arguments: { 'x-expires': 1000 } });
    disk.fault = (operation) =>
      operation === 'write' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined;
    publishAll(connection, 'q', ['a']);
    await expect(connection.durable()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    clock.advance(1000);
    expect(connection.hasQueue('q')).toBe(true);
    disk.fault = undefined;
    for (let time = 0; time < 40 && broker.failure !== undefined; time++) {
      clock.advance(500);
      for (let turn = 0; turn < 20; turn++) await idle();
    }
    clock.advance(1000);
    expect(connection.hasQueue('q')).toBe(false);
  });
});
