import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import type { Connection } from './connection.js';
import { consumeInto, engine, to } from './engine.spec.support.js';
import type { FieldTable, Message } from './message/message.js';
import { SimulatedFileSystem, systemError } from './store/simulated-file-system.js';

let broker: Broker;
let connection: Connection;

beforeEach(async () => {
  ({ broker, connection } = await engine());
});
afterEach(() => broker.close());

function publish(exchange: string, key: string, headers?: FieldTable): string {
  const properties = headers === undefined ? {} : { headers };
  return connection.publish(to(key, '', { exchange, properties }));
}

function counts(...queues: string[]): number[] {
  return queues.map((queue) => connection.checkQueue(queue).messageCount);
}

async function declare(
  exchanges: Record<string, 'direct' | 'fanout' | 'topic'>,
  ...queues: string[]
): Promise<void> {
  for (const [name, type] of Object.entries(exchanges)) await connection.declareExchange(name, { type });
  for (const queue of queues) await connection.declareQueue(queue);
}

describe('exchanges bound to exchanges', () => {
  it('hand on what they route, along each way once, and also in a circle', async () => {
    await declare({ a: 'topic', b: 'fanout', c: 'direct' }, 'q', 'r');
    await connection.bindExchange({ source: 'a', destination: 'b', key: 'x.*' });
    await connection.bindExchange({ source: 'a', destination: 'c', key: '#' });
    await connection.bindExchange({ source: 'b', destination: 'a', key: '' });
    await connection.bindExchange({ source: 'b', destination: 'b', key: '' });
    await connection.bindQueue('q', 'b', '');
    await connection.bindQueue('q', 'c', 'x.1');
    await connection.bindQueue('r', 'a', 'x.1');
    expect(publish('a', 'x.1')).toBe('routed');
    expect(counts('q', 'r')).toEqual([1, 1]);
    expect(publish('a', 'y')).toBe('unroutable');
    expect(publish('b', 'y')).toBe('routed');
    expect(counts('q', 'r')).toEqual([2, 1]);
    await connection.unbindExchange({ source: 'a', destination: 'b', key: 'x.*' });
    await connection.unbindExchange({ source: 'a', destination: 'b', key: 'x.*' });
    expect(publish('a', 'x.2')).toBe('unroutable');
  });

  it('are no more when one of them is deleted', async () => {
    await declare({ a: 'fanout', b: 'fanout', c: 'fanout' }, 'q');
    await connection.bindExchange({ source: 'a', destination: 'b', key: '' });
    await connection.bindExchange({ source: 'b', destination: 'c', key: '' });
    await connection.bindQueue('q', 'c', '');
    expect(publish('a', '')).toBe('routed');
    await expect(connection.deleteExchange('b', { ifUnused: true })).rejects.toThrow(
      "exchange 'b' in vhost '/' in use",
    );
    await connection.deleteExchange('b');
    expect(publish('a', '')).toBe('unroutable');
    // Nothing of the old one is left in the new one.
    await declare({ b: 'fanout' });
    expect([publish('a', ''), publish('b', '')]).toEqual(['unroutable', 'unroutable']);
    await connection.deleteExchange('a', { ifUnused: true });
  });

  it('that live by their bindings go with the last one, one after the other', async () => {
    for (const name of ['a', 'b'])
      await connection.declareExchange(name, { type: 'fanout', autoDelete: true });
    await declare({ c: 'fanout' }, 'q');
    await connection.bindExchange({ source: 'a', destination: 'b', key: '' });
    await connection.bindExchange({ source: 'c', destination: 'a', key: '' });
    await connection.bindQueue('q', 'b', '');
    await connection.deleteQueue('q');
    for (const name of ['a', 'b']) expect(() => connection.checkExchange(name)).toThrow('NOT_FOUND');
    connection.checkExchange('c');
    // A destination does not live by its bindings.
    for (const name of ['a', 'b'])
      await connection.declareExchange(name, { type: 'fanout', autoDelete: true });
    await connection.bindExchange({ source: 'c', destination: 'a', key: '' });
    await connection.bindExchange({ source: 'b', destination: 'b', key: '' });
    await connection.deleteExchange('c');
    connection.checkExchange('a');
    await connection.deleteExchange('b');
    expect(() => connection.checkExchange('b')).toThrow('NOT_FOUND');
  });
});

describe('an alternate exchange', () => {
  it('gets what goes nowhere, and only that; one that is not there gets nothing', async () => {
    await declare({ rest: 'fanout', dead: 'fanout', 'dead.end': 'fanout' }, 'q', 'r');
    const alternate = { 'alternate-exchange': 'rest' };
    await connection.declareExchange('x', { type: 'direct', arguments: alternate });
    await connection.declareExchange('y', { type: 'direct', arguments: { 'alternate-exchange': 'none' } });
    await connection.bindQueue('q', 'x', 'k');
    expect(publish('x', 'other')).toBe('unroutable');
    await connection.bindQueue('r', 'rest', '');
    expect([publish('x', 'k'), publish('x', 'other'), publish('y', 'k')]).toEqual([
      'routed',
      'routed',
      'unroutable',
    ]);
    expect(counts('q', 'r')).toEqual([1, 1]);
    // An exchange that leads nowhere is somewhere.
    await connection.bindExchange({ source: 'x', destination: 'dead.end', key: 'dead' });
    expect(publish('x', 'dead')).toBe('unroutable');
    // And behind another exchange it does the same.
    await connection.bindExchange({ source: 'dead', destination: 'x', key: '' });
    expect(publish('dead', 'other')).toBe('routed');
    expect(counts('q', 'r')).toEqual([1, 2]);
  });

  it('may be internal, to which nobody may publish', async () => {
    await connection.declareExchange('inner', { type: 'fanout', internal: true });
    await connection.declareExchange('x', { type: 'direct', arguments: { 'alternate-exchange': 'inner' } });
    await declare({}, 'q');
    await connection.bindQueue('q', 'inner', '');
    expect(publish('x', 'k')).toBe('routed');
    const refused = "ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/'";
    expect(() => publish('inner', 'k')).toThrow(refused);
    expect(() => connection.checkRoute('inner')).toThrow(refused);
    expect(counts('q')).toEqual([1]);
  });
});

describe('redeclaring an exchange', () => {
  it('compares its type, its properties and its alternate exchange, in this order', async () => {
    const options = { type: 'direct', arguments: { 'alternate-exchange': 'z', other: 1 } } as const;
    await connection.declareExchange('x', options);
    await connection.declareExchange('x', { ...options, arguments: { 'alternate-exchange': 'z', more: 2 } });
    const at = "for exchange 'x' in vhost '/': received";
    const refusal = (over: object): Promise<void> => connection.declareExchange('x', { ...options, ...over });
    await expect(refusal({ internal: true, arguments: {} })).rejects.toThrow(
      `inequivalent arg 'internal' ${at} 'true' but current is 'false'`,
    );
    const name = "inequivalent arg 'alternate-exchange'";
    await expect(refusal({ arguments: {} })).rejects.toThrow(
      `${name} ${at} none but current is the value 'z' of type 'longstr'`,
    );
    await expect(refusal({ arguments: { 'alternate-exchange': 'y' } })).rejects.toThrow(
      `${name} ${at} 'y' but current is 'z'`,
    );
    await expect(
      connection.declareExchange('amq.topic', { type: 'topic', arguments: { 'alternate-exchange': 5 } }),
    ).rejects.toThrow(
      `${name} for exchange 'amq.topic' in vhost '/': received the value '5' of type 'signedint' but current is none`,
    );
    await expect(
      connection.declareExchange('y', { type: 'topic', arguments: { 'alternate-exchange': 5 } }),
    ).rejects.toThrow("invalid type 'signedint' for arg 'alternate-exchange' in exchange 'y' in vhost '/'");
    expect(() => connection.checkExchange('y')).toThrow('NOT_FOUND');
  });
});

describe('arguments of a binding', () => {
  it('make it another binding, which goes alone', async () => {
    await declare({ x: 'direct', t: 'topic' }, 'q');
    for (const exchange of ['x', 't']) {
      await connection.bindQueue('q', exchange, 'k', { a: 1 });
      await connection.bindQueue('q', exchange, 'k', { a: 2 });
      await connection.bindQueue('q', exchange, 'k');
      for (const args of [{ a: 1 }, { a: 1n }, undefined]) {
        await connection.unbindQueue('q', exchange, 'k', args);
        expect(publish(exchange, 'k')).toBe('routed');
      }
      await connection.unbindQueue('q', exchange, 'k', { a: 2 });
      expect(publish(exchange, 'k')).toBe('unroutable');
    }
  });
});

describe('CC and BCC', () => {
  it('route to each queue once, by keys of a type that has keys', async () => {
    await declare({ x: 'topic', f: 'fanout' }, 'q', 'r', 's');
    await connection.bindQueue('q', 'x', 'a.*');
    await connection.bindQueue('r', 'x', 'b.*');
    await connection.bindQueue('s', 'f', '');
    await connection.bindExchange({ source: 'x', destination: 'f', key: 'c.#' });
    expect(publish('x', 'none', { CC: ['a.1', 'b.1'], BCC: ['a.2', 'c'] })).toBe('routed');
    expect(counts('q', 'r', 's')).toEqual([1, 1, 1]);
    expect(publish('', 'q', { CC: ['r', 'missing'] })).toBe('routed');
    expect(publish('', 'missing', { CC: ['r'] })).toBe('routed');
    expect(publish('f', '', { CC: ['x', 'y'] })).toBe('routed');
    expect(publish('', 'missing', { CC: [] })).toBe('unroutable');
    expect(counts('q', 'r', 's')).toEqual([2, 3, 2]);
  });

  it('are read in a transaction too, and only CC is shown', async () => {
    await declare({}, 'q', 'r');
    const message = (headers: FieldTable): Message => to('q', '', { properties: { headers } });
    expect(connection.transact([message({ BCC: ['r'], CC: [], a: 1 })], [])).toEqual(['routed']);
    for (const queue of ['q', 'r']) {
      const delivery = await connection.get(queue);
      expect(delivery?.message.properties.headers).toEqual({ CC: [], a: 1 });
      expect(delivery?.message.routingKey).toBe('q');
    }
    expect(() => connection.transact([message({}), message({ CC: 1 })], [])).toThrow(
      'unacceptable_type_in_header',
    );
    expect(counts('q', 'r')).toEqual([0, 0]);
  });
});

describe('deduplication', () => {
  const args = { 'x-cache-size': 100 };
  const id = { 'x-deduplication-header': '1' };

  it('routes a message once, however it is published, and again what went nowhere', async () => {
    await connection.declareExchange('x', { type: 'x-message-deduplication', arguments: args });
    await declare({}, 'q');
    expect(publish('x', 'k', id)).toBe('unroutable');
    await connection.bindQueue('q', 'x', '');
    expect([publish('x', 'k', id), publish('x', 'k', id)]).toEqual(['routed', 'unroutable']);
    const message = to('k', '', {
      exchange: 'x',
      properties: { headers: { 'x-deduplication-header': '2' } },
    });
    expect(connection.transact([message, message], [])).toEqual(['routed', 'unroutable']);
    expect(connection.publish(message)).toBe('unroutable');
    expect(counts('q')).toEqual([2]);
  });

  it('takes no message for seen that the publisher was told is not stored', async () => {
    const disk = new SimulatedFileSystem();
    const clock = new ManualClock();
    let onHealed: () => void = () => {};
    const healed = new Promise<void>((resolve) => (onHealed = resolve));
    const options = { directory: '/data', fileSystem: disk, clock, onFailure: () => {}, onHealed };
    const durable = await openBroker(options);
    const publisher = durable.connect();
    await publisher.declareExchange('x', { type: 'x-message-deduplication', arguments: args });
    await publisher.declareQueue('q');
    await publisher.bindQueue('q', 'x', '');
    const message = to('k', 'body', { exchange: 'x', properties: { deliveryMode: 2, headers: id } });
    const stored = (): Promise<Error | undefined> =>
      new Promise((resolve) => {
        expect(publisher.publish(message, resolve)).toBe('routed');
      });
    disk.fault = (operation, path) =>
      operation === 'sync' && path.endsWith('.segment') ? systemError('EIO', path) : undefined;
    expect(await stored()).toMatchObject({ code: 'STORE_FAILED' });
    // While the disk does not work it is refused at once, and not seen either.
    expect(() => publisher.publish(message)).toThrow("can't be written");
    disk.fault = undefined;
    clock.advance(60_000);
    await healed;
    expect(await stored()).toBeUndefined();
    expect(publisher.publish(message)).toBe('unroutable');
    await durable.close();
  });
});

describe('what survives a restart', () => {
  it('is what is durable at both ends: exchanges with all they are, bindings with their arguments', async () => {
    const disk = new SimulatedFileSystem();
    const first = await openBroker({ directory: '/data', fileSystem: disk });
    const before = first.connect();
    await before.declareExchange('inner', { type: 'fanout', internal: true });
    const alternate = { 'alternate-exchange': 'inner', 'x-own': [1n, 'two'] };
    await before.declareExchange('h', { type: 'headers', arguments: alternate });
    await before.declareExchange('hash', { type: 'x-consistent-hash', arguments: { 'hash-header': 'id' } });
    await before.declareExchange('passing', { type: 'fanout', durable: false });
    await before.declareExchange('deleted', { type: 'fanout' });
    await before.declareExchange('once', {
      type: 'x-message-deduplication',
      arguments: { 'x-cache-size': 9 },
    });
    for (const queue of ['q', 'r', 's', 'rest']) await before.declareQueue(queue);
    await before.bindQueue('q', 'h', '', { a: 1, 'x-match': 'any' });
    await before.bindQueue('q', 'h', '', { b: 1 });
    await before.unbindQueue('q', 'h', '', { b: 1 });
    await before.bindQueue('rest', 'inner', '');
    await before.bindQueue('q', 'once', '');
    for (const queue of ['r', 's']) await before.bindQueue(queue, 'hash', '2');
    await before.bindExchange({ source: 'amq.topic', destination: 'h', key: 'on.#' });
    await before.bindExchange({ source: 'amq.fanout', destination: 'h', key: '', arguments: { c: 1 } });
    await before.bindExchange({ source: 'amq.fanout', destination: 'h', key: '' });
    await before.unbindExchange({ source: 'amq.fanout', destination: 'h', key: '' });
    await before.bindExchange({ source: 'amq.direct', destination: 'passing', key: 'k' });
    await before.bindExchange({ source: 'amq.direct', destination: 'deleted', key: 'k' });
    await before.bindExchange({ source: 'deleted', destination: 'h', key: '' });
    await before.deleteExchange('deleted');
    const ids = Array.from({ length: 50 }, (_, i) => ({ id: i }));
    const spread = (connected: Connection): number[] => {
      for (const headers of ids) connected.publish(to('', '', { exchange: 'hash', properties: { headers } }));
      return ['r', 's'].map((queue) => connected.checkQueue(queue).messageCount);
    };
    const shares = spread(before);
    expect(Math.min(...shares)).toBeGreaterThan(0);
    await before.durable();

    const second = await openBroker({ directory: '/data', fileSystem: disk.afterPowerCut(() => 0) });
    connection = second.connect();
    const arrived = (exchange: string, key: string, headers: FieldTable = {}): [string, number[]] => {
      const start = counts('q', 'rest');
      const outcome = publish(exchange, key, headers);
      return [outcome, counts('q', 'rest').map((count, i) => count - (start[i] ?? 0))];
    };
    expect(arrived('h', '', { a: 1 })).toEqual(['routed', [1, 0]]);
    expect(arrived('h', '', { b: 1 })).toEqual(['routed', [0, 1]]);
    expect(arrived('amq.topic', 'on.x', { a: 1 })).toEqual(['routed', [1, 0]]);
    expect(arrived('amq.fanout', 'k', { a: 1 })).toEqual(['routed', [1, 0]]);
    expect(arrived('amq.direct', 'k')).toEqual(['unroutable', [0, 0]]);
    expect(arrived('once', '')).toEqual(['routed', [1, 0]]);
    for (const name of ['passing', 'deleted'])
      expect(() => connection.checkExchange(name)).toThrow('NOT_FOUND');
    expect(() => publish('inner', '')).toThrow('cannot publish to internal exchange');
    await connection.declareExchange('h', { type: 'headers', arguments: alternate });
    await connection.unbindExchange({ source: 'amq.fanout', destination: 'h', key: '', arguments: { c: 1 } });
    expect(arrived('amq.fanout', '', { a: 1 })).toEqual(['unroutable', [0, 0]]);
    // The same keys go to the same queues.
    expect(spread(connection)).toEqual(shares);
    await second.close();
  });
});

describe('replies', () => {
  it('go straight to who waits for them, in any connection, as long as it waits', async () => {
    const requester = broker.connect();
    const replies: Message[] = [];
    let onNext: () => void = () => {};
    const consumer = requester.consumeReplies({
      onReply: (reply) => {
        replies.push(reply);
        onNext();
      },
    });
    const next = new Promise<void>((resolve) => (onNext = resolve));
    expect(consumer.name).toMatch(/^amq\.rabbitmq\.reply-to\../);
    expect(connection.hasReplyConsumer(consumer.name)).toBe(true);
    expect(connection.publish(to(consumer.name, 'reply'))).toBe('routed');
    expect(replies).toHaveLength(0);
    await next;
    expect(replies.map(({ routingKey, body }) => [routingKey, body.toString()])).toEqual([
      [consumer.name, 'reply'],
    ]);
    // Only through the default exchange, and also as a copy and in a transaction.
    expect(publish('amq.direct', consumer.name)).toBe('unroutable');
    await connection.declareQueue('q');
    expect(publish('', 'q', { CC: [consumer.name] })).toBe('routed');
    expect(connection.transact([to(consumer.name, 'third')], [])).toEqual(['routed']);
    requester.close();
    expect(connection.publish(to(consumer.name, 'late'))).toBe('unroutable');
    expect(connection.hasReplyConsumer(consumer.name)).toBe(false);
    expect(counts('q')).toEqual([1]);
  });

  it('go nowhere when the requester takes none', () => {
    let takes = false;
    const consumer = connection.consumeReplies({ onReply: () => {}, mayDeliver: () => takes });
    expect(connection.publish(to(consumer.name, ''))).toBe('unroutable');
    takes = true;
    expect(connection.publish(to(consumer.name, ''))).toBe('routed');
    connection.cancelReplies(consumer);
    connection.cancelReplies(consumer);
    expect(connection.publish(to(consumer.name, ''))).toBe('unroutable');
  });

  it('are confirmed: there is nothing to wait for', async () => {
    const consumer = connection.consumeReplies({ onReply: () => {} });
    const confirmed = await new Promise<Error | undefined>((resolve) => {
      connection.publish(to(consumer.name, ''), resolve);
    });
    expect(confirmed).toBeUndefined();
  });
});

describe('a message that moves', () => {
  it('goes by its routing key alone: copies were made when it was published', async () => {
    await declare({}, 'from', 'to', 'copies');
    const { inbox } = consumeInto(connection, 'from');
    publish('', 'from', { CC: ['copies'] });
    const delivery = await inbox.nth(1);
    const { properties } = delivery.message;
    expect(connection.forward(delivery, { exchange: '', routingKey: 'to', properties })).toBe('routed');
    expect(counts('to', 'copies')).toEqual([1, 1]);
  });
});
