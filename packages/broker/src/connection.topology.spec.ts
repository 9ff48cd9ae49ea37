import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Broker } from './broker.js';
import { openBroker } from './broker.js';
import type { Connection } from './connection.js';
import { consumeInto, engine, idle, publishAll, to } from './engine.spec.support.js';
import type { ExchangeType } from './definitions/definitions.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

let broker: Broker;
let connection: Connection;
let other: Connection;
beforeEach(async () => {
  ({ broker, connection } = await engine());
  other = broker.connect();
});
afterEach(() => broker.close());

describe('declaring', () => {
  it("again with other properties is refused in RabbitMQ's words", async () => {
    await connection.declareQueue('q');
    await connection.declareExchange('x', { type: 'topic' });
    await connection.declareQueue('q');
    await connection.declareExchange('x', { type: 'topic' });
    const at = "for queue 'q' in vhost '/'";
    await expect(connection.declareQueue('q', { durable: false })).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      severity: 'channel',
      message: `PRECONDITION_FAILED - inequivalent arg 'durable' ${at}: received 'false' but current is 'true'`,
    });
    await expect(connection.declareQueue('q', { autoDelete: true })).rejects.toThrow(
      `PRECONDITION_FAILED - inequivalent arg 'auto_delete' ${at}: received 'true' but current is 'false'`,
    );
    await expect(connection.declareQueue('q', { exclusive: true })).rejects.toMatchObject({
      code: 'RESOURCE_LOCKED',
    });
    await expect(connection.declareExchange('x', { type: 'fanout' })).rejects.toThrow(
      "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'topic'",
    );
    await expect(connection.declareExchange('x', { type: 'topic', durable: false })).rejects.toThrow(
      "inequivalent arg 'durable' for exchange 'x' in vhost '/': received 'false' but current is 'true'",
    );
  });

  it('reserved names, the default exchange and unknown types is refused', async () => {
    await expect(connection.declareQueue('amq.probe')).rejects.toThrow(
      "ACCESS_REFUSED - queue name 'amq.probe' contains reserved prefix 'amq.*'",
    );
    await expect(connection.declareExchange('amq.probe', { type: 'topic' })).rejects.toThrow(
      "ACCESS_REFUSED - exchange name 'amq.probe' contains reserved prefix 'amq.*'",
    );
    await connection.declareExchange('amq.topic', { type: 'topic' });
    await expect(connection.deleteExchange('amq.topic')).rejects.toThrow(
      "ACCESS_REFUSED - deletion of system exchange 'amq.topic' in vhost '/' not allowed",
    );
    const refused = 'ACCESS_REFUSED - operation not permitted on the default exchange';
    await expect(connection.declareExchange('', { type: 'direct' })).rejects.toThrow(refused);
    await expect(connection.deleteExchange('')).rejects.toThrow(refused);
    await connection.declareQueue('q');
    await expect(connection.bindQueue('q', '', 'k')).rejects.toThrow(refused);
    await expect(connection.unbindQueue('q', '', 'q')).rejects.toThrow(refused);
    await expect(connection.declareExchange('x', { type: 'foo' as ExchangeType })).rejects.toMatchObject({
      severity: 'connection',
      message: "COMMAND_INVALID - invalid exchange type 'foo'",
    });
    await expect(connection.declareQueue('q'.repeat(256))).rejects.toThrow('has 256 bytes.');
  });

  it('without a name lets the server choose one', async () => {
    const { name } = await connection.declareQueue('');
    expect(name).toMatch(/^amq\.gen-/);
    expect((await connection.declareQueue('')).name).not.toBe(name);
    expect(connection.checkQueue(name)).toEqual({
      name,
      messageCount: 0,
      unsettledCount: 0,
      consumerCount: 0,
    });
  });

  it('tells how many messages wait and who consumes', async () => {
    await connection.declareQueue('q');
    publishAll(connection, 'q', ['1', '2', '3']);
    consumeInto(connection, 'q', { prefetchCount: 1 });
    await idle();
    expect(await connection.declareQueue('q')).toEqual({
      name: 'q',
      messageCount: 2,
      unsettledCount: 1,
      consumerCount: 1,
    });
  });

  it('what is not there is refused where it must be, and is no matter where it may be', async () => {
    const missing = "NOT_FOUND - no queue 'no' in vhost '/'";
    expect(() => connection.checkQueue('no')).toThrow(missing);
    expect(() => connection.consume('no', { onDelivery: () => {} })).toThrow(missing);
    await expect(connection.purgeQueue('no')).rejects.toThrow(missing);
    await expect(connection.bindQueue('no', 'amq.topic', 'k')).rejects.toThrow(missing);
    await connection.declareQueue('q');
    const missingExchange = "NOT_FOUND - no exchange 'no' in vhost '/'";
    await expect(connection.bindQueue('q', 'no', 'k')).rejects.toThrow(missingExchange);
    expect(() => connection.publish(to('k', '', { exchange: 'no' }))).toThrow(missingExchange);
    expect(await connection.deleteQueue('no')).toBe(0);
    await connection.deleteExchange('no');
    await connection.unbindQueue('q', 'amq.topic', 'never bound');
    await connection.unbindQueue('no', 'no', 'k');
  });
});

describe('an exclusive queue', () => {
  it('is for its connection only, and goes with it', async () => {
    await connection.declareQueue('mine', { exclusive: true });
    const locked = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'mine' in vhost '/'.";
    expect(() => other.checkQueue('mine')).toThrow(locked);
    expect(() => other.consume('mine', { onDelivery: () => {} })).toThrow(locked);
    await expect(other.declareQueue('mine', { exclusive: true })).rejects.toThrow(locked);
    await expect(other.bindQueue('mine', 'amq.topic', 'k')).rejects.toThrow(locked);
    await expect(other.purgeQueue('mine')).rejects.toThrow(locked);
    await expect(other.deleteQueue('mine')).rejects.toThrow(locked);
    // Everybody may send to it.
    expect(other.publish(to('mine', 'hello'))).toBe('routed');
    expect(connection.checkQueue('mine').messageCount).toBe(1);
    connection.close();
    expect(other.publish(to('mine', 'hello'))).toBe('unroutable');
    await other.declareQueue('mine');
  });
});

describe('an auto-delete queue', () => {
  it('goes with its last consumer, not before it had one', async () => {
    await connection.declareQueue('q', { autoDelete: true });
    expect(connection.checkQueue('q').consumerCount).toBe(0);
    const first = consumeInto(connection, 'q');
    const second = consumeInto(other, 'q');
    connection.cancel(first.consumer);
    expect(other.checkQueue('q').consumerCount).toBe(1);
    other.cancel(second.consumer);
    expect(() => other.checkQueue('q')).toThrow('NOT_FOUND');
  });
});

describe('an exclusive consumer', () => {
  it('keeps others away, and does not come where others are', async () => {
    await connection.declareQueue('q');
    const { consumer } = consumeInto(connection, 'q', { exclusive: true });
    const inUse = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use";
    expect(() => consumeInto(other, 'q')).toThrow(inUse);
    connection.cancel(consumer);
    consumeInto(other, 'q');
    expect(() => consumeInto(connection, 'q', { exclusive: true })).toThrow(inUse);
  });
});

describe('routing', () => {
  it('reaches each bound queue once, through exchanges of each type', async () => {
    for (const queue of ['a', 'b']) await connection.declareQueue(queue);
    for (const type of ['direct', 'fanout', 'topic'] as const)
      await connection.declareExchange(type, { type });
    await connection.bindQueue('a', 'direct', 'k');
    await connection.bindQueue('a', 'fanout', '');
    await connection.bindQueue('b', 'fanout', '');
    await connection.bindQueue('a', 'topic', 'k.*');
    await connection.bindQueue('a', 'topic', '#');
    const counts = (): number[] => ['a', 'b'].map((queue) => connection.checkQueue(queue).messageCount);
    expect(connection.publish(to('k', '', { exchange: 'direct' }))).toBe('routed');
    expect(connection.publish(to('l', '', { exchange: 'direct' }))).toBe('unroutable');
    expect(counts()).toEqual([1, 0]);
    connection.publish(to('x', '', { exchange: 'fanout' }));
    expect(counts()).toEqual([2, 1]);
    connection.publish(to('k.1', '', { exchange: 'topic' }));
    expect(counts()).toEqual([3, 1]);
    await connection.unbindQueue('b', 'fanout', '');
    connection.publish(to('x', '', { exchange: 'fanout' }));
    expect(counts()).toEqual([4, 1]);
  });

  it('an unroutable message is confirmed: there is nothing to wait for', async () => {
    const confirmed = new Promise<Error | undefined>((resolve) => {
      expect(connection.publish(to('nowhere', ''), resolve)).toBe('unroutable');
    });
    expect(await confirmed).toBeUndefined();
  });

  it('an auto-delete exchange goes with its last binding', async () => {
    await connection.declareExchange('x', { type: 'fanout', autoDelete: true });
    await connection.declareQueue('q');
    await connection.bindQueue('q', 'x', '');
    await connection.deleteQueue('q');
    expect(() => connection.publish(to('', '', { exchange: 'x' }))).toThrow('NOT_FOUND');
  });
});

describe('purging and deleting', () => {
  it('count what was ready, leave what is unsettled, and tell the consumers', async () => {
    await connection.declareQueue('q');
    publishAll(connection, 'q', ['1', '2', '3']);
    let cancelled = 0;
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 1, onCancel: () => cancelled++ });
    const first = await inbox.nth(1);
    expect(await connection.purgeQueue('q')).toBe(2);
    first.requeue({ failed: false });
    expect((await inbox.nth(2)).message.body.toString()).toBe('1');
    publishAll(connection, 'q', ['4']);
    expect(await connection.deleteQueue('q')).toBe(1);
    expect(cancelled).toBe(1);
    // Settling what was delivered before still does no harm.
    expect((await inbox.nth(2)).requeue({ failed: true })).toBe(true);
  });
});

describe('forwarding a delivery', () => {
  it('takes it out of its queue and puts it into others, or leaves everything as it is', async () => {
    await connection.declareQueue('from');
    await connection.declareQueue('to');
    publishAll(connection, 'from', ['body']);
    const delivery = await consumeInto(connection, 'from').inbox.nth(1);
    const envelope = {
      exchange: '',
      routingKey: 'to',
      properties: { deliveryMode: 2, headers: { reason: 'test' } },
    };
    expect(connection.forward(delivery, { ...envelope, routingKey: 'nowhere' })).toBe('unroutable');
    expect(delivery.settled).toBe(false);
    expect(connection.forward(delivery, envelope)).toBe('routed');
    expect(delivery.settled).toBe(true);
    expect(connection.forward(delivery, envelope)).toBe('settled');
    expect(delivery.ack()).toBe(false);
    const moved = await consumeInto(connection, 'to').inbox.nth(1);
    expect([moved.message.body.toString(), moved.message.properties.headers, moved.redelivered]).toEqual([
      'body',
      { reason: 'test' },
      false,
    ]);
    expect(connection.checkQueue('from').messageCount).toBe(0);
  });
});

describe('what survives a restart', () => {
  it('is what is durable: queues, exchanges, bindings, and the persistent messages in them', async () => {
    const disk = new SimulatedFileSystem();
    const first = await openBroker({ directory: '/data', fileSystem: disk });
    const before = first.connect();
    await before.declareQueue('durable');
    await before.declareQueue('transient', { durable: false });
    await before.declareQueue('deleted');
    await before.declareExchange('x', { type: 'topic' });
    await before.declareExchange('passing', { type: 'topic', durable: false });
    await before.bindQueue('durable', 'x', 'a.#');
    await before.bindQueue('durable', 'x', 'unbound');
    await before.bindQueue('durable', 'passing', '#');
    await before.unbindQueue('durable', 'x', 'unbound');
    before.publish(to('a.1', 'persistent', { exchange: 'x' }));
    before.publish(to('a.1', 'transient', { exchange: 'x', properties: {} }));
    before.publish(to('deleted', 'gone with its queue'));
    await before.deleteQueue('deleted');
    await before.durable();

    const second = await openBroker({ directory: '/data', fileSystem: disk.afterPowerCut(() => 0) });
    const after = second.connect();
    expect(after.checkQueue('durable').messageCount).toBe(1);
    for (const name of ['transient', 'deleted']) expect(() => after.checkQueue(name)).toThrow('NOT_FOUND');
    expect(() => after.publish(to('a', '', { exchange: 'passing' }))).toThrow('NOT_FOUND');
    expect(after.publish(to('unbound', '', { exchange: 'x' }))).toBe('unroutable');
    expect(after.publish(to('a.2', 'next', { exchange: 'x' }))).toBe('routed');
    const { inbox } = consumeInto(after, 'durable');
    await inbox.nth(2);
    expect(
      inbox.deliveries.map(({ message, redelivered }) => [message.body.toString(), redelivered]),
    ).toEqual([
      ['persistent', true],
      ['next', false],
    ]);
    // A new queue of an old name is a new queue.
    await after.declareQueue('deleted');
    expect(after.checkQueue('deleted').messageCount).toBe(0);
    await second.close();
  });
});
