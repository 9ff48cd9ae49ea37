import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Broker } from './broker.js';
import type { Connection } from './connection.js';
import { consumeInto, engine, idle, publishAll, to } from './engine.spec.support.js';

let broker: Broker;
let connection: Connection;

beforeEach(async () => {
  ({ broker, connection } = await engine());
  await connection.declareQueue('q');
});

afterEach(() => broker.close());

describe('competing consumers', () => {
  it('take turns when messages come together', async () => {
    const [a, b, c] = [0, 1, 2].map(() => consumeInto(connection, 'q').inbox);
    publishAll(connection, 'q', ['1', '2', '3', '4', '5', '6']);
    await idle();
    expect([a?.bodies, b?.bodies, c?.bodies]).toEqual([
      ['1', '4'],
      ['2', '5'],
      ['3', '6'],
    ]);
  });

  it.each([2, 3])('take turns when messages come one by one, %i consumers', async (count) => {
    const inboxes = Array.from({ length: count }, () => consumeInto(connection, 'q').inbox);
    for (let i = 0; i < count * 2; i++) {
      connection.publish(to('q', `${i}`));
      await idle();
    }
    expect(inboxes.map((inbox) => inbox.deliveries.length)).toEqual(inboxes.map(() => 2));
  });

  it('get no more than their prefetch, and the next when they settle one', async () => {
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 2 });
    publishAll(connection, 'q', ['1', '2', '3', '4']);
    await idle();
    expect(inbox.bodies).toEqual(['1', '2']);
    (await inbox.nth(1)).ack();
    await idle();
    expect(inbox.bodies).toEqual(['1', '2', '3']);
    (await inbox.nth(3)).discard();
    await inbox.nth(4);
    expect(connection.checkQueue('q')).toMatchObject({ name: 'q', messageCount: 0, consumerCount: 1 });
  });

  it('one that is full is passed over', async () => {
    const full = consumeInto(connection, 'q', { prefetchCount: 1 });
    const free = consumeInto(connection, 'q');
    publishAll(connection, 'q', ['1', '2', '3', '4']);
    await idle();
    expect(full.inbox.bodies).toEqual(['1']);
    expect(free.inbox.bodies).toEqual(['2', '3', '4']);
  });

  it('one queue with much to deliver does not keep another waiting', async () => {
    await connection.declareQueue('other');
    const bodies = Array.from({ length: 2000 }, (_, i) => `${i}`);
    const first = consumeInto(connection, 'q');
    const other = consumeInto(connection, 'other');
    publishAll(connection, 'q', bodies);
    connection.publish(to('other', 'x'));
    await other.inbox.nth(1);
    expect(first.inbox.deliveries.length).toBeLessThan(2000);
    await first.inbox.nth(2000);
    expect(first.inbox.bodies).toEqual(bodies);
  });
});

describe('a delivery', () => {
  it('given back comes again at its original place, redelivered', async () => {
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 2 });
    publishAll(connection, 'q', ['1', '2', '3', '4']);
    const first = await inbox.nth(1);
    expect([first.redelivered, first.deliveryCount]).toEqual([false, 0]);
    first.requeue({ failed: false });
    const again = await inbox.nth(3);
    expect(again.message.body.toString()).toBe('1');
    expect([again.redelivered, again.deliveryCount]).toEqual([true, 0]);
  });

  it('given back as failed counts the attempts', async () => {
    const { inbox } = consumeInto(connection, 'q');
    connection.publish(to('q', '1'));
    for (let attempt = 1; attempt <= 3; attempt++) {
      const delivery = await inbox.nth(attempt);
      expect(delivery.deliveryCount).toBe(attempt - 1);
      delivery.requeue({ failed: true });
    }
    expect((await inbox.nth(4)).deliveryCount).toBe(3);
  });

  it('several given back in any order come again in their order', async () => {
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 3 });
    publishAll(connection, 'q', ['1', '2', '3', '4', '5']);
    await inbox.nth(3);
    for (const at of [2, 0, 1]) inbox.deliveries[at]?.requeue({ failed: false });
    await inbox.nth(6);
    expect(inbox.bodies.slice(3)).toEqual(['1', '2', '3']);
  });

  it('is settled once: the first settlement counts, later ones do nothing', async () => {
    const { inbox } = consumeInto(connection, 'q');
    publishAll(connection, 'q', ['1', '2', '3']);
    await inbox.nth(3);
    const [one, two, three] = inbox.deliveries;
    expect([one?.ack(), one?.ack(), one?.requeue({ failed: true })]).toEqual([true, false, false]);
    expect([two?.discard(), two?.ack()]).toEqual([true, false]);
    expect(three?.requeue({ failed: false })).toBe(true);
    expect([three?.ack(), three?.settled]).toEqual([false, true]);
    await inbox.nth(4);
    expect(inbox.bodies).toEqual(['1', '2', '3', '3']);
    expect(connection.checkQueue('q').messageCount).toBe(0);
  });

  it('of a consumer with noAck is settled as it is handed over, and needs no credit', async () => {
    const { inbox } = consumeInto(connection, 'q', { noAck: true, prefetchCount: 1 });
    publishAll(connection, 'q', ['1', '2', '3']);
    const last = await inbox.nth(3);
    expect(last.settled).toBe(true);
    expect(last.requeue({ failed: false })).toBe(false);
    connection.close();
    expect(broker.connect().checkQueue('q').messageCount).toBe(0);
  });
});

describe('cancelling', () => {
  it('stops deliveries, and what is unsettled can still be settled', async () => {
    const { inbox, consumer } = consumeInto(connection, 'q', { prefetchCount: 1 });
    publishAll(connection, 'q', ['1', '2']);
    const delivery = await inbox.nth(1);
    connection.cancel(consumer);
    expect(delivery.ack()).toBe(true);
    await idle();
    expect(inbox.bodies).toEqual(['1']);
    expect(connection.checkQueue('q')).toMatchObject({ name: 'q', messageCount: 1, consumerCount: 0 });
  });

  it('keeps the order of turns for those who stay', async () => {
    const consumers = [0, 1, 2].map(() => consumeInto(connection, 'q'));
    publishAll(connection, 'q', ['1', '2']);
    await idle();
    connection.cancel((consumers[0] as (typeof consumers)[0]).consumer);
    publishAll(connection, 'q', ['3', '4', '5']);
    await idle();
    expect(consumers.map(({ inbox }) => inbox.bodies)).toEqual([['1'], ['2', '4'], ['3', '5']]);
  });

  it('twice does not cancel another consumer that has taken the tag since', async () => {
    const first = consumeInto(connection, 'q', { consumerTag: 'tag' });
    connection.cancel(first.consumer);
    const second = consumeInto(connection, 'q', { consumerTag: 'tag' });
    connection.cancel(first.consumer);
    connection.close();
    expect(second.consumer.cancelled).toBe(true);
    const other = broker.connect();
    other.publish(to('q', '1'));
    await idle();
    expect(second.inbox.bodies).toEqual([]);
    expect(other.checkQueue('q')).toMatchObject({ name: 'q', messageCount: 1, consumerCount: 0 });
  });

  it('a tag in use is refused', () => {
    consumeInto(connection, 'q', { consumerTag: 'tag' });
    expect(() => consumeInto(connection, 'q', { consumerTag: 'tag' })).toThrow(
      "NOT_ALLOWED - attempt to reuse consumer tag 'tag'",
    );
  });
});

describe('closing a connection', () => {
  it('gives back what is unsettled, also of cancelled consumers, in order', async () => {
    const a = consumeInto(connection, 'q', { prefetchCount: 2 });
    publishAll(connection, 'q', ['1', '2', '3', '4']);
    await a.inbox.nth(2);
    connection.cancel(a.consumer);
    const b = consumeInto(connection, 'q', { prefetchCount: 1 });
    await b.inbox.nth(1);
    connection.close();
    connection.close();
    const { inbox } = consumeInto(broker.connect(), 'q');
    await inbox.nth(4);
    expect(inbox.bodies).toEqual(['1', '2', '3', '4']);
    expect(inbox.deliveries.map(({ redelivered }) => redelivered)).toEqual([true, true, true, false]);
  });

  it('refuses everything after it', async () => {
    connection.close();
    expect(() => connection.publish(to('q', '1'))).toThrow('closed');
    expect(() => consumeInto(connection, 'q')).toThrow('closed');
    await expect(connection.declareQueue('r')).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
