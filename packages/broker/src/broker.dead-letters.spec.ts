import { afterEach, describe, expect, it } from '@jest/globals';
import { consumeInto, idle, publishAll, to } from './engine.spec.support.js';
import { RuledBroker, TO_DEAD } from './ruled-broker.spec.support.js';

const on = new RuledBroker();
afterEach(() => on.broker.close());

describe('a queue with a limit', () => {
  it('drops its oldest, to the dead letters', async () => {
    await on.fresh();
    await on.declare('dead');
    await on.declare('q', { 'x-max-length': 2, ...TO_DEAD });
    publishAll(on.connection, 'q', ['a', 'b', 'c', 'd']);
    expect(on.count('q')).toBe(2);
    expect(await on.drain('dead')).toEqual(['a', 'b']);
    expect(await on.drain('q')).toEqual(['c', 'd']);
  });

  it('drops nothing that a consumer takes', async () => {
    await on.fresh();
    await on.declare('q', { 'x-max-length': 1 });
    const { inbox } = consumeInto(on.connection, 'q', { prefetchCount: 3 });
    publishAll(on.connection, 'q', ['a', 'b', 'c', 'd', 'e']);
    await idle();
    expect(inbox.bodies).toEqual(['a', 'b', 'c']);
    expect(await on.drain('q')).toEqual(['e']);
  });

  it('of bytes counts the bodies of what is ready, also after a restart', async () => {
    await on.fresh({ durable: true });
    await on.declare('q', { 'x-max-length-bytes': 10 });
    publishAll(on.connection, 'q', ['1234', '5678']);
    expect(on.count('q')).toBe(2);
    publishAll(on.connection, 'q', ['abc']);
    expect(on.count('q')).toBe(2);
    await on.restart();
    await idle();
    publishAll(on.connection, 'q', ['def']);
    expect(await on.drain('q')).toEqual(['5678', 'abc', 'def']);
    publishAll(on.connection, 'q', ['123456789', 'ab']);
    expect(await on.drain('q')).toEqual(['ab']);
  });

  it('rejects what comes, and tells the publisher', async () => {
    await on.fresh();
    await on.declare('dead');
    await on.declare('other');
    await on.declare('q', { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx', ...TO_DEAD });
    await on.connection.bindQueue('q', 'amq.fanout', '');
    await on.connection.bindQueue('other', 'amq.fanout', '');
    const told: (string | undefined)[] = [];
    const publish = (body: string): string =>
      on.connection.publish(to('', body, { exchange: 'amq.fanout' }), (error) =>
        told.push((error as { code?: string } | undefined)?.code),
      );
    expect([publish('a'), publish('b')]).toEqual(['routed', 'rejected']);
    await on.connection.durable();
    expect(told).toEqual([undefined, 'REJECTED']);
    expect(await on.drain('q')).toEqual(['a']);
    expect(await on.drain('other')).toEqual(['a', 'b']);
    expect(await on.drain('dead')).toEqual(['b']);
  });

  it('that a policy sets takes effect at once', async () => {
    await on.fresh();
    await on.declare('q');
    publishAll(on.connection, 'q', ['a', 'b', 'c']);
    const delivery = await on.connection.get('q');
    delivery?.queue.applyPolicy({ 'max-length': 1, 'message-ttl': 50 });
    expect(on.count('q')).toBe(1);
    publishAll(on.connection, 'q', ['d']);
    on.clock.advance(50);
    expect(on.count('q')).toBe(0);
    delivery?.queue.applyPolicy(undefined);
    publishAll(on.connection, 'q', ['e', 'f']);
    on.clock.advance(50);
    expect(on.count('q')).toBe(2);
  });
});

describe('dead letters', () => {
  it('are rejected messages with their story, in one place through a restart', async () => {
    await on.fresh({ durable: true });
    await on.declare('dead');
    await on.declare('q', TO_DEAD);
    publishAll(on.connection, 'q', ['a', 'b']);
    (await on.connection.get('q'))?.discard();
    await on.restart();
    expect(on.count('q')).toBe(1);
    const [letter] = await on.take('dead');
    expect(letter?.body.toString()).toBe('a');
    expect(letter?.routingKey).toBe('dead');
    expect(letter?.properties.headers).toMatchObject({
      'x-death': [{ count: 1, reason: 'rejected', queue: 'q', exchange: '', 'routing-keys': ['q'] }],
      'x-first-death-queue': 'q',
      'x-first-death-reason': 'rejected',
      'x-first-death-exchange': '',
    });
  });

  it('do not go round for ever, unless somebody rejects them', async () => {
    await on.fresh();
    await on.declare('wait', {
      'x-message-ttl': 10,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'work',
    });
    await on.declare('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'wait' });
    await on.declare('self', { 'x-message-ttl': 10, 'x-dead-letter-exchange': '' });
    publishAll(on.connection, 'self', ['a']);
    publishAll(on.connection, 'work', ['b']);
    for (let time = 1; time <= 3; time++) {
      const delivery = await on.connection.get('work');
      expect(delivery?.message.body.toString()).toBe('b');
      delivery?.discard();
      on.clock.advance(10);
      await idle();
    }
    const [letter] = await on.take('work');
    expect(letter?.properties.headers?.['x-death']).toMatchObject([
      { count: 3, queue: 'wait', reason: 'expired' },
      { count: 3, queue: 'work', reason: 'rejected' },
    ]);
    expect(on.count('self')).toBe(0);
  });

  it('are dropped where the exchange is missing, and are not made by purge and delete', async () => {
    await on.fresh();
    await on.declare('dead');
    await on.declare('nowhere', { 'x-dead-letter-exchange': 'no' });
    publishAll(on.connection, 'nowhere', ['a']);
    (await on.connection.get('nowhere'))?.discard();
    await on.declare('q', TO_DEAD);
    publishAll(on.connection, 'q', ['a', 'b']);
    await on.connection.purgeQueue('q');
    publishAll(on.connection, 'q', ['c']);
    await on.connection.deleteQueue('q');
    expect(await on.drain('dead')).toEqual([]);
  });

  it('wait while the disk fails, and go when it is well', async () => {
    await on.fresh({ durable: true });
    await on.declare('dead');
    await on.declare('q', { 'x-message-ttl': 100, ...TO_DEAD });
    publishAll(on.connection, 'q', ['a']);
    await on.connection.durable();
    on.disk.fault = (operation) =>
      operation === 'write' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined;
    on.connection.publish(to('dead', 'x'));
    await expect(on.connection.durable()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    on.clock.advance(100);
    await idle();
    expect(on.count('dead')).toBeLessThan(2);
    on.disk.fault = undefined;
    for (let time = 0; time < 40 && on.broker.failure !== undefined; time++) {
      on.clock.advance(1000);
      for (let turn = 0; turn < 20; turn++) await idle();
    }
    expect(on.broker.failure).toBeUndefined();
    on.clock.advance(10_000);
    expect(await on.drain('dead')).toContain('a');
    expect(on.count('q')).toBe(0);
  });
});
