import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { idle, publishAll, to } from './engine.spec.support.js';
import type { FieldTable } from './message/message.js';
import { RuledBroker, TO_DEAD } from './ruled-broker.spec.support.js';

const SURE = {
  'x-queue-type': 'quorum',
  'x-dead-letter-strategy': 'at-least-once',
  'x-overflow': 'reject-publish',
};
const FULL_WITH_ONE = { 'x-max-length': 1, 'x-overflow': 'reject-publish' };
/** Whatever is tried again is tried within this. Milliseconds. */
const ALL_IS_TRIED_MS = 200_000;

// Letters that are sent again are read from the disk.
const on = new RuledBroker({ cacheBytesMax: 0 });
beforeEach(() => on.fresh({ durable: true }));
afterEach(() => on.broker.close());

async function declare(queue: string, args: FieldTable): Promise<void> {
  await on.connection.declareQueue(queue, { arguments: { ...SURE, ...args } });
}

async function rejectAll(queue: string): Promise<void> {
  for (;;) {
    const delivery = await on.connection.get(queue);
    if (delivery === undefined) break;
    delivery.discard();
  }
  await settled();
}

async function settled(): Promise<void> {
  await on.connection.durable();
  for (let turn = 0; turn < 20; turn++) await idle();
}

async function pass(ms: number): Promise<void> {
  on.clock.advance(ms);
  await settled();
}

describe('a dead letter that nobody takes, at least once', () => {
  it('stays, and goes soon after its exchange and a binding are there, in order and once', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'dlx' });
    publishAll(on.connection, 'q', ['a', 'b', 'c']);
    await rejectAll('q');
    await on.connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    await on.connection.declareExchange('dlx', { type: 'direct' });
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual([]);
    await on.connection.bindQueue('dead', 'dlx', 'q');
    await pass(1000);
    expect(await on.drain('dead')).toEqual(['a', 'b', 'c']);
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual([]);
  });

  it('goes when the queue that was full has room: one a round, as long as there is room', async () => {
    await declare('q', TO_DEAD);
    await on.connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    publishAll(on.connection, 'q', ['a', 'b', 'c']);
    await rejectAll('q');
    expect(await on.drain('dead')).toEqual(['a']);
    await pass(1000);
    expect(await on.drain('dead')).toEqual(['b']);
    await pass(1000);
    expect(await on.drain('dead')).toEqual(['c']);
  });

  it('is tried again less and less often, and in the end every three minutes', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'dlx' });
    publishAll(on.connection, 'q', ['a']);
    await rejectAll('q');
    const from = on.clock.now();
    const tried: number[] = [];
    on.disk.fault = (operation) => {
      if (operation === 'read') tried.push((on.clock.now() - from) / 1000);
      return undefined;
    };
    for (let second = 0; second < 800; second++) await pass(1000);
    expect(tried).toEqual([1, 3, 7, 15, 31, 63, 127, 255, 435, 615, 795]);
  });

  it('does not stand in the way of others, however many it are', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.direct' });
    await on.connection.declareQueue('dead');
    await on.connection.bindQueue('dead', 'amq.direct', 'good');
    await on.connection.bindQueue('q', 'amq.fanout', '');
    for (let i = 0; i < 1000; i++)
      on.connection.publish({ ...to('q', `bad ${i}`), exchange: 'amq.fanout', routingKey: 'bad' });
    on.connection.publish({ ...to('q', 'good'), exchange: 'amq.fanout', routingKey: 'good' });
    await rejectAll('q');
    expect(await on.drain('dead')).toEqual(['good']);
    await on.connection.bindQueue('dead', 'amq.direct', 'bad');
    await pass(1000);
    expect(await on.drain('dead')).toEqual(Array.from({ length: 1000 }, (_, i) => `bad ${i}`));
  });

  it('that has expired does not hide what lives behind it', async () => {
    await declare('q', TO_DEAD);
    for (let i = 0; i < 600; i++)
      on.connection.publish(to('q', `${i}`, { properties: { deliveryMode: 2, expiration: '100' } }));
    publishAll(on.connection, 'q', ['alive']);
    await pass(100);
    await pass(1);
    expect(await on.drain('q')).toEqual(['alive']);
    await on.connection.declareQueue('dead');
    await pass(1000);
    expect(await on.drain('dead')).toHaveLength(600);
  });

  it('comes to each queue once: to the others at once, and to the one that was full when it has room', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.fanout' });
    await on.connection.declareQueue('other');
    await on.connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    for (const queue of ['other', 'dead']) await on.connection.bindQueue(queue, 'amq.fanout', '');
    publishAll(on.connection, 'q', ['a', 'b']);
    await rejectAll('q');
    expect(await on.drain('other')).toEqual(['a', 'b']);
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual(['a']);
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual(['b']);
    expect(await on.drain('other')).toEqual([]);
  });

  it('is done when the queue that was full is bound no more, and another has taken it', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.fanout' });
    await on.connection.declareQueue('other');
    await on.connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    for (const queue of ['other', 'dead']) await on.connection.bindQueue(queue, 'amq.fanout', '');
    publishAll(on.connection, 'q', ['a', 'b']);
    await rejectAll('q');
    await on.connection.unbindQueue('dead', 'amq.fanout', '');
    await pass(1000);
    await on.connection.bindQueue('dead', 'amq.fanout', '');
    await on.drain('dead');
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual([]);
  });

  it('stays in a circle without a rejection', async () => {
    await declare('q', { 'x-dead-letter-exchange': 'amq.fanout', 'x-message-ttl': 100 });
    await on.connection.bindQueue('q', 'amq.fanout', '');
    await on.connection.declareQueue('dead');
    publishAll(on.connection, 'q', ['a']);
    await pass(100);
    await pass(ALL_IS_TRIED_MS);
    await on.connection.bindQueue('dead', 'amq.fanout', '');
    await pass(1000);
    expect([await on.drain('q'), await on.drain('dead')]).toEqual([[], ['a']]);
  });

  it('is no duplicate to an exchange that it could not pass', async () => {
    await on.connection.declareExchange('once', {
      type: 'x-message-deduplication',
      arguments: { 'x-cache-size': 10 },
    });
    await declare('q', { 'x-dead-letter-exchange': 'once' });
    await on.connection.declareQueue('dead', { arguments: FULL_WITH_ONE });
    await on.connection.bindQueue('dead', 'once', '');
    for (const id of ['1', '2']) {
      const headers = { 'x-deduplication-header': id };
      on.connection.publish(to('q', id, { properties: { deliveryMode: 2, headers } }));
    }
    await rejectAll('q');
    expect(await on.drain('dead')).toEqual(['1']);
    await pass(1000);
    expect(await on.drain('dead')).toEqual(['2']);
  });
});

describe('the queue of a dead letter that nobody takes', () => {
  beforeEach(async () => {
    await declare('q', { ...TO_DEAD, 'x-max-length': 3 });
    publishAll(on.connection, 'q', ['a', 'b', 'c']);
    for (let i = 0; i < 2; i++) (await on.connection.get('q'))?.discard();
    await settled();
  });

  it('counts it for its limit, and not as ready', async () => {
    expect(on.connection.checkQueue('q').messageCount).toBe(1);
    expect(on.connection.publish(to('q', 'd'))).toBe('rejected');
    await on.connection.declareQueue('dead');
    await pass(1000);
    expect(on.connection.publish(to('q', 'd'))).toBe('routed');
  });

  it('counts its bytes for its limit', async () => {
    await declare('bytes', { ...TO_DEAD, 'x-max-length-bytes': 10 });
    on.connection.publish(to('bytes', '12345678'));
    await rejectAll('bytes');
    expect(on.connection.publish(to('bytes', '123'))).toBe('rejected');
    expect(on.connection.publish(to('bytes', '12'))).toBe('routed');
  });

  it('keeps it when it is purged', async () => {
    expect(await on.connection.purgeQueue('q')).toBe(1);
    await on.connection.declareQueue('dead');
    await pass(1000);
    expect(await on.drain('dead')).toEqual(['a', 'b']);
  });

  it('has it again as before after a restart, ready and in its place', async () => {
    await on.restart();
    const delivery = await on.connection.get('q');
    expect([delivery?.redelivered, delivery?.message.body.toString()]).toEqual([true, 'a']);
    delivery?.requeue({ failed: false });
    expect(await on.drain('q')).toEqual(['a', 'b', 'c']);
  });

  it('gives it up when it is deleted, also on the disk', async () => {
    await on.connection.deleteQueue('q');
    await on.connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    await on.restart();
    await declare('q', TO_DEAD);
    await pass(ALL_IS_TRIED_MS);
    expect([await on.drain('q'), await on.drain('dead')]).toEqual([[], []]);
  });
});

describe('at-least-once', () => {
  const policy = (definition: Record<string, unknown>): void =>
    on.broker.registry.setPolicy('/', 'p', { pattern: '^q$', applyTo: 'queues', priority: 0, definition });

  it('can be a policy; when it goes, so do letters that are stuck', async () => {
    await on.connection.declareQueue('q', { arguments: { 'x-queue-type': 'quorum', ...TO_DEAD } });
    policy({ 'dead-letter-strategy': 'at-least-once', overflow: 'reject-publish' });
    publishAll(on.connection, 'q', ['a']);
    await rejectAll('q');
    await pass(ALL_IS_TRIED_MS);
    await on.connection.declareQueue('dead');
    await pass(1000);
    expect(await on.drain('dead')).toEqual(['a']);
    await on.connection.deleteQueue('dead');
    publishAll(on.connection, 'q', ['b']);
    await rejectAll('q');
    on.broker.registry.clearPolicy('/', 'p');
    await settled();
    await on.connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual([]);
  });

  it.each([
    ['a queue that drops its head', { 'x-overflow': 'drop-head' }],
    ['a queue with x-overflow reject-publish-dlx', { 'x-overflow': 'reject-publish-dlx' }],
  ])('has no effect in %s', async (_, args) => {
    await declare('q', { ...TO_DEAD, ...args });
    publishAll(on.connection, 'q', ['a']);
    await rejectAll('q');
    await on.connection.declareQueue('dead');
    await pass(ALL_IS_TRIED_MS);
    expect(await on.drain('dead')).toEqual([]);
  });
});
