import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';

const message = (exchange: string, routingKey: string, headers = {}) => ({
  exchange,
  routingKey,
  properties: { headers },
  body: Buffer.from('1'),
});

let broker: Broker;
let clock: ManualClock;
beforeEach(async () => {
  clock = new ManualClock();
  broker = await openBroker({ clock });
});
afterEach(() => broker.close());

describe('the inventory of a broker', () => {
  it('has all queues of a vhost with their counts, and how many messages are delayed', async () => {
    const connection = broker.connect();
    await connection.declareQueue('a');
    await connection.declareQueue('b');
    await connection.declareExchange('later', {
      type: 'x-delayed-message',
      arguments: { 'x-delayed-type': 'fanout' },
    });
    await connection.bindQueue('b', 'later', '');
    connection.publish(message('', 'a'));
    connection.publish(message('later', '', { 'x-delay': 1000 }));
    expect(broker.queues()).toMatchObject([
      { name: 'a', messageCount: 1 },
      { name: 'b', messageCount: 0 },
    ]);
    expect(broker.delayedCount()).toBe(1);
    expect(clock.nextTimerAt).toBe(clock.now() + 1000);
    expect(() => broker.queues('other')).toThrow('vhost other not found');
  });
});

describe('a vhost that is cleared', () => {
  it('has ended its sessions, and is as new for the next', async () => {
    const reasons: string[] = [];
    const connection = broker.connect({ onEnd: (reason) => reasons.push(reason) });
    await connection.declareQueue('a');
    await connection.declareExchange('shop', { type: 'topic' });
    await connection.bindQueue('a', 'amq.fanout', '');
    connection.publish(message('', 'a'));
    broker.registry.setVhost('other', { description: '', tags: [] });
    const other = broker.connect({ vhost: 'other' });
    await other.declareQueue('kept');

    broker.clear();

    expect(reasons).toEqual(["vhost '/' is cleared"]);
    expect(broker.queues()).toEqual([]);
    const next = broker.connect();
    expect(() => next.checkExchange('shop')).toThrow('NOT_FOUND');
    expect(next.publish(message('amq.fanout', ''))).toBe('unroutable');
    expect(other.checkQueue('kept').messageCount).toBe(0);
    expect(() => broker.clear('nowhere')).toThrow('vhost nowhere not found');
  });
});

describe('who has the broker', () => {
  it('can block publishers for a while', async () => {
    const connection = broker.connect();
    await connection.declareQueue('a');
    broker.block('Closed for stocktaking.');
    expect(broker.blocked).toBe('Closed for stocktaking.');
    expect(() => connection.publish(message('', 'a'))).toThrow('Closed for stocktaking.');
    const unblocked = connection.unblocked();
    broker.block(undefined);
    await unblocked;
    expect(connection.publish(message('', 'a'))).toBe('routed');
  });

  it('can end the sessions of users, and the others go on', async () => {
    const reasons: string[] = [];
    broker.connect({ user: 'guest', onEnd: (reason) => reasons.push(reason) });
    const own = broker.connect({ onEnd: (reason) => reasons.push(reason) });
    broker.disconnectUsers('for a test');
    expect(reasons).toEqual(['for a test']);
    await own.declareQueue('a');
  });
});
