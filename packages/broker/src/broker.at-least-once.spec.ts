import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import type { Connection } from './connection.js';
import { idle, publishAll, to } from './engine.spec.support.js';
import type { FieldTable } from './message/message.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

const SURE = {
  'x-queue-type': 'quorum',
  'x-dead-letter-strategy': 'at-least-once',
  'x-overflow': 'reject-publish',
};
const TO_DEAD = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };
const FULL_WITH_ONE = { 'x-max-length': 1, 'x-overflow': 'reject-publish' };
/** Whatever is tried again is tried within this. Milliseconds. */
const ALL_IS_TRIED_MS = 200_000;

let clock: ManualClock;
let disk: SimulatedFileSystem;
let broker: Broker;
let connection: Connection;

beforeEach(async () => {
  clock = new ManualClock();
  disk = new SimulatedFileSystem();
  await start();
});
afterEach(() => broker.close());

async function start(): Promise<void> {
  broker = await openBroker({
    clock,
    onFailure: () => {},
    fileSystem: disk,
    directory: '/data',
    settlementDelayMs: 0,
    // Letters that are sent again are read from the disk.
    cacheBytesMax: 0,
  });
  connection = broker.connect();
}

async function declare(queue: string, args: FieldTable): Promise<void> {
  await connection.declareQueue(queue, { arguments: { ...SURE, ...args } });
}

async function rejectAll(queue: string): Promise<void> {
  for (;;) {
    const delivery = await connection.get(queue);
    if (delivery === undefined) break;
    delivery.discard();
  }
  await settled();
}

async function settled(): Promise<void> {
  await connection.durable();
  for (let turn = 0; turn < 20; turn++) await idle();
}

async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  await settled();
}

async function drain(queue: string): Promise<string[]> {
  const bodies: string[] = [];
  for (;;) {
    const delivery = await connection.get(queue, { noAck: true });
    if (delivery === undefined) return bodies;
    bodies.push(delivery.message.body.toString());
  }
}

describe('a dead letter that nobody takes, at least once', () => {
  it('stays, and goes soon after its exchange and a binding are there, in order and once', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'dlx' });
    publishAll(connection, 'q', ['a', 'b', 'c']);
    await rejectAll('q');
    await connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    await connection.declareExchange('dlx', { type: 'direct' });
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual([]);
    await connection.bindQueue('dead', 'dlx', 'q');
    await pass(1000);
    expect(await drain('dead')).toEqual(['a', 'b', 'c']);
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual([]);
  });

  it('goes when the queue that was full has room: one a round, as long as there is room', async () => {
    await declare('q', TO_DEAD);
    await connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    publishAll(connection, 'q', ['a', 'b', 'c']);
    await rejectAll('q');
    expect(await drain('dead')).toEqual(['a']);
    await pass(1000);
    expect(await drain('dead')).toEqual(['b']);
    await pass(1000);
    expect(await drain('dead')).toEqual(['c']);
  });

  it('is tried again less and less often, and in the end every three minutes', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'dlx' });
    publishAll(connection, 'q', ['a']);
    await rejectAll('q');
    const from = clock.now();
    const tried: number[] = [];
    disk.fault = (operation) => {
      if (operation === 'read') tried.push((clock.now() - from) / 1000);
      return undefined;
    };
    for (let second = 0; second < 800; second++) await pass(1000);
    expect(tried).toEqual([1, 3, 7, 15, 31, 63, 127, 255, 435, 615, 795]);
  });

  it('does not stand in the way of others, however many it are', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.direct' });
    await connection.declareQueue('dead');
    await connection.bindQueue('dead', 'amq.direct', 'good');
    await connection.bindQueue('q', 'amq.fanout', '');
    for (let i = 0; i < 1000; i++)
      connection.publish({ ...to('q', `bad ${i}`), exchange: 'amq.fanout', routingKey: 'bad' });
    connection.publish({ ...to('q', 'good'), exchange: 'amq.fanout', routingKey: 'good' });
    await rejectAll('q');
    expect(await drain('dead')).toEqual(['good']);
    await connection.bindQueue('dead', 'amq.direct', 'bad');
    await pass(1000);
    expect(await drain('dead')).toEqual(Array.from({ length: 1000 }, (_, i) => `bad ${i}`));
  });

  it('that has expired does not hide what lives behind it', async () => {
    await declare('q', TO_DEAD);
    for (let i = 0; i < 600; i++)
      connection.publish(to('q', `${i}`, { properties: { deliveryMode: 2, expiration: '100' } }));
    publishAll(connection, 'q', ['alive']);
    await pass(100);
    await pass(1);
    expect(await drain('q')).toEqual(['alive']);
    await connection.declareQueue('dead');
    await pass(1000);
    expect(await drain('dead')).toHaveLength(600);
  });

  it('comes to each queue once: to the others at once, and to the one that was full when it has room', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.fanout' });
    await connection.declareQueue('other');
    await connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    for (const queue of ['other', 'dead']) await connection.bindQueue(queue, 'amq.fanout', '');
    publishAll(connection, 'q', ['a', 'b']);
    await rejectAll('q');
    expect(await drain('other')).toEqual(['a', 'b']);
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual(['a']);
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual(['b']);
    expect(await drain('other')).toEqual([]);
  });

  it('is done when the queue that was full is bound no more, and another has taken it', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.fanout' });
    await connection.declareQueue('other');
    await connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    for (const queue of ['other', 'dead']) await connection.bindQueue(queue, 'amq.fanout', '');
    publishAll(connection, 'q', ['a', 'b']);
    await rejectAll('q');
    await connection.unbindQueue('dead', 'amq.fanout', '');
    await pass(1000);
    await connection.bindQueue('dead', 'amq.fanout', '');
    await drain('dead');
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual([]);
  });

  it('stays in a circle without a rejection', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.fanout', 'x-message-ttl': 100 });
    await connection.bindQueue('q', 'amq.fanout', '');
    await connection.declareQueue('dead');
    publishAll(connection, 'q', ['a']);
    await pass(100);
    await pass(ALL_IS_TRIED_MS);
    await connection.bindQueue('dead', 'amq.fanout', '');
    await pass(1000);
    expect([await drain('q'), await drain('dead')]).toEqual([[], ['a']]);
  });

  it('is no duplicate to an exchange that it could not pass', async () => {
    await connection.declareExchange('once', {
      type: 'x-message-deduplication',
      arguments: { 'x-cache-size': 10 },
    });
    await declare('q', { 'x-dead-letter-exchange': 'once' });
    await connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    await connection.bindQueue('dead', 'once', '');
    for (const id of ['1', '2']) {
      const headers = { 'x-deduplication-header': id };
      connection.publish(to('q', id, { properties: { deliveryMode: 2, headers } }));
    }
    await rejectAll('q');
    expect(await drain('dead')).toEqual(['1']);
    await pass(1000);
    expect(await drain('dead')).toEqual(['2']);
  });
});

describe('the queue of a dead letter that nobody takes', () => {
  beforeEach(async () => {
    await declare('q', { ...TO_DEAD, 'x-max-length': 3 });
    publishAll(connection, 'q', ['a', 'b', 'c']);
    for (let i = 0; i < 2; i++) (await connection.get('q'))?.discard();
    await settled();
  });

  it('counts it for its limit, and not as ready', async () => {
    expect(connection.checkQueue('q').messageCount).toBe(1);
    expect(connection.publish(to('q', 'd'))).toBe('rejected');
    await connection.declareQueue('dead');
    await pass(1000);
    expect(connection.publish(to('q', 'd'))).toBe('routed');
  });

  it('counts its bytes for its limit', async () => {
    await declare('bytes', { ...TO_DEAD, 'x-max-length-bytes': 10 });
    connection.publish(to('bytes', '12345678'));
    await rejectAll('bytes');
    expect(connection.publish(to('bytes', '123'))).toBe('rejected');
    expect(connection.publish(to('bytes', '12'))).toBe('routed');
  });

  it('keeps it when it is purged', async () => {
    expect(await connection.purgeQueue('q')).toBe(1);
    await connection.declareQueue('dead');
    await pass(1000);
    expect(await drain('dead')).toEqual(['a', 'b']);
  });

  it('has it again as before after a restart, ready and in its place', async () => {
    await connection.durable();
    await broker.close();
    await start();
    const delivery = await connection.get('q');
    expect([delivery?.redelivered, delivery?.message.body.toString()]).toEqual([true, 'a']);
    delivery?.requeue({ failed: false });
    expect(await drain('q')).toEqual(['a', 'b', 'c']);
  });

  it('gives it up when it is deleted, also on the disk', async () => {
    await connection.deleteQueue('q');
    await connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    await connection.durable();
    await broker.close();
    await start();
    await declare('q', TO_DEAD);
    await pass(ALL_IS_TRIED_MS);
    expect([await drain('q'), await drain('dead')]).toEqual([[], []]);
  });
});

describe('at-least-once', () => {
  const policy = (definition: Record<string, unknown>): void =>
    broker.registry.setPolicy('/', 'p', { pattern: '^q$', applyTo: 'queues', priority: 0, definition });

  it('can be a policy; when it goes, so do letters that are stuck', async () => {
    await connection.declareQueue('q', { arguments: { 'x-queue-type': 'quorum', ...TO_DEAD } });
    policy({ 'dead-letter-strategy': 'at-least-once', overflow: 'reject-publish' });
    publishAll(connection, 'q', ['a']);
    await rejectAll('q');
    await pass(ALL_IS_TRIED_MS);
    await connection.declareQueue('dead');
    await pass(1000);
    expect(await drain('dead')).toEqual(['a']);
    await connection.deleteQueue('dead');
    publishAll(connection, 'q', ['b']);
    await rejectAll('q');
    broker.registry.clearPolicy('/', 'p');
    await settled();
    await connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual([]);
  });

  it.each([
    ['a queue that drops its head', { 'x-overflow': 'drop-head' }],
    ['a queue with x-overflow reject-publish-dlx', { 'x-overflow': 'reject-publish-dlx' }],
  ])('has no effect in %s', async (_, args) => {
    await declare('q', { ...TO_DEAD, ...args });
    publishAll(connection, 'q', ['a']);
    await rejectAll('q');
    await connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    expect(await drain('dead')).toEqual([]);
  });
});
