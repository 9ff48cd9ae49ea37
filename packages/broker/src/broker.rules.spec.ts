import { afterEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import type { Connection } from './connection.js';
import { consumeInto, idle, publishAll, to } from './engine.spec.support.js';
import type { FieldTable, Message } from './message/message.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

let clock = new ManualClock();
let disk = new SimulatedFileSystem();
let broker: Broker;
let connection: Connection;

afterEach(() => broker.close());

async function start(fileSystem?: SimulatedFileSystem): Promise<void> {
  const onDisk = fileSystem === undefined ? {} : { fileSystem, directory: '/data', settlementDelayMs: 0 };
  broker = await openBroker({ clock, onFailure: () => {}, ...onDisk });
  connection = broker.connect();
}

async function fresh({ durable = false } = {}): Promise<void> {
  clock = new ManualClock();
  disk = new SimulatedFileSystem();
  await start(durable ? disk : undefined);
}

/** As after a power cut, once all is durable. */
async function restart(): Promise<void> {
  await connection.durable();
  await broker.close();
  await start(disk);
}

async function declare(name: string, args: FieldTable = {}): Promise<void> {
  await connection.declareQueue(name, { arguments: args });
}

/** What is ready in the queue, taken out. */
async function drain(queue: string): Promise<string[]> {
  return (await take(queue)).map(({ body }) => body.toString());
}

async function take(queue: string): Promise<Message[]> {
  await idle();
  const messages: Message[] = [];
  for (;;) {
    const delivery = await connection.get(queue, { noAck: true });
    if (delivery === undefined) return messages;
    messages.push(delivery.message);
  }
}

function count(queue: string): number {
  return connection.checkQueue(queue).messageCount;
}

/** Time that has passed while the process was busy: no timer has fired yet. */
class BusyClock extends ManualClock {
  behindMs = 0;

  override now(): number {
    return super.now() + this.behindMs;
  }
}

const TO_DEAD = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' };

describe('time to live', () => {
  it("ends when the lower of the queue's and the message's own is over, at the head of the queue", async () => {
    await fresh();
    await declare('q', { 'x-message-ttl': 1000 });
    connection.publish(to('q', 'short', { properties: { expiration: '100' } }));
    connection.publish(to('q', 'long', { properties: { expiration: '5000' } }));
    clock.advance(99);
    expect(count('q')).toBe(2);
    clock.advance(1);
    expect(count('q')).toBe(1);
    clock.advance(899);
    expect(count('q')).toBe(1);
    clock.advance(1);
    expect(count('q')).toBe(0);
  });

  it('does not end behind a message that lives', async () => {
    await fresh();
    await declare('q');
    connection.publish(to('q', 'first', { properties: { expiration: '100' } }));
    connection.publish(to('q', 'second', { properties: { expiration: '10' } }));
    clock.advance(50);
    expect(count('q')).toBe(2);
    clock.advance(50);
    expect(count('q')).toBe(0);
  });

  it('of 0 ends at once, unless a consumer waits', async () => {
    await fresh();
    await declare('q', { 'x-message-ttl': 0 });
    publishAll(connection, 'q', ['nobody']);
    expect(count('q')).toBe(0);
    const { inbox } = consumeInto(connection, 'q');
    publishAll(connection, 'q', ['somebody']);
    clock.advance(1);
    await idle();
    expect(inbox.bodies).toEqual(['somebody']);
  });

  it('has ended for what was there before its consumer came, though another message comes at the same moment', async () => {
    const busy = new BusyClock();
    clock = busy;
    await start();
    await declare('q');
    connection.publish(to('q', 'old', { properties: { expiration: '100' } }));
    busy.behindMs = 100;
    const { inbox } = consumeInto(connection, 'q');
    connection.publish(to('q', 'new', { properties: { expiration: '0' } }));
    await idle();
    expect(inbox.bodies).toEqual(['new']);
  });

  it('goes on through a restart, and ends also while there is no broker', async () => {
    await fresh({ durable: true });
    await declare('dead');
    await declare('q', { 'x-message-ttl': 1000, ...TO_DEAD });
    publishAll(connection, 'q', ['a']);
    clock.advance(600);
    publishAll(connection, 'q', ['b']);
    await restart();
    expect(count('q')).toBe(2);
    clock.advance(400);
    await idle();
    expect(await drain('dead')).toEqual(['a']);
    await connection.durable();
    await broker.close();
    clock.advance(1000);
    await start(disk);
    await idle();
    expect(await drain('dead')).toEqual(['b']);
    expect(count('q')).toBe(0);
  });

  it('counts for a message that comes back after its end', async () => {
    await fresh();
    await declare('dead');
    await declare('q', { 'x-message-ttl': 100, ...TO_DEAD });
    publishAll(connection, 'q', ['a']);
    const delivery = await connection.get('q');
    clock.advance(200);
    delivery?.requeue({ failed: true });
    expect(await drain('q')).toEqual([]);
    expect(await drain('dead')).toEqual(['a']);
  });

  it('longer than a timer can be is not over at once', async () => {
    await fresh();
    await declare('q', { 'x-message-ttl': 2 ** 31 + 1000 });
    publishAll(connection, 'q', ['a']);
    clock.advance(2 ** 31);
    expect(count('q')).toBe(1);
    clock.advance(1000);
    expect(count('q')).toBe(0);
  });

  it("refuses an expiration that is none, in RabbitMQ's words", async () => {
    await fresh();
    await declare('q');
    const publish = (expiration: string) => () =>
      connection.publish(to('q', '', { properties: { expiration } }));
    expect(publish('abc')).toThrow("PRECONDITION_FAILED - invalid expiration 'abc': no_integer");
    expect(publish('1.5')).toThrow(`invalid expiration '1.5': {leftover_string,".5"}`);
    expect(publish('-1')).toThrow("invalid expiration '-1': {value_negative,-1}");
    expect(publish('315360000001')).toThrow(
      "invalid expiration '315360000001': {value_too_large,315360000001}",
    );
  });
});

describe('a queue with x-expires', () => {
  it('is deleted when nobody has used it for so long', async () => {
    await fresh({ durable: true });
    await declare('q', { 'x-expires': 1000 });
    clock.advance(900);
    await declare('q', { 'x-expires': 1000 });
    clock.advance(900);
    await connection.get('q');
    clock.advance(900);
    const { consumer } = consumeInto(connection, 'q');
    clock.advance(5000);
    connection.cancel(consumer);
    clock.advance(999);
    expect(count('q')).toBe(0);
    await restart();
    clock.advance(999);
    expect(count('q')).toBe(0);
    clock.advance(1);
    expect(() => count('q')).toThrow("no queue 'q'");
    await restart();
    expect(() => count('q')).toThrow("no queue 'q'");
  });
});

describe('a queue with a limit', () => {
  it('drops its oldest, to the dead letters', async () => {
    await fresh();
    await declare('dead');
    await declare('q', { 'x-max-length': 2, ...TO_DEAD });
    publishAll(connection, 'q', ['a', 'b', 'c', 'd']);
    expect(count('q')).toBe(2);
    expect(await drain('dead')).toEqual(['a', 'b']);
    expect(await drain('q')).toEqual(['c', 'd']);
  });

  it('drops nothing that a consumer takes', async () => {
    await fresh();
    await declare('q', { 'x-max-length': 1 });
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 3 });
    publishAll(connection, 'q', ['a', 'b', 'c', 'd', 'e']);
    await idle();
    expect(inbox.bodies).toEqual(['a', 'b', 'c']);
    expect(await drain('q')).toEqual(['e']);
  });

  it('of bytes counts the bodies of what is ready, also after a restart', async () => {
    await fresh({ durable: true });
    await declare('q', { 'x-max-length-bytes': 10 });
    publishAll(connection, 'q', ['1234', '5678']);
    expect(count('q')).toBe(2);
    publishAll(connection, 'q', ['abc']);
    expect(count('q')).toBe(2);
    await restart();
    await idle();
    publishAll(connection, 'q', ['def']);
    expect(await drain('q')).toEqual(['5678', 'abc', 'def']);
    publishAll(connection, 'q', ['123456789', 'ab']);
    expect(await drain('q')).toEqual(['ab']);
  });

  it('rejects what comes, and tells the publisher', async () => {
    await fresh();
    await declare('dead');
    await declare('other');
    await declare('q', { 'x-max-length': 1, 'x-overflow': 'reject-publish-dlx', ...TO_DEAD });
    await connection.bindQueue('q', 'amq.fanout', '');
    await connection.bindQueue('other', 'amq.fanout', '');
    const told: (string | undefined)[] = [];
    const publish = (body: string): string =>
      connection.publish(to('', body, { exchange: 'amq.fanout' }), (error) =>
        told.push((error as { code?: string } | undefined)?.code),
      );
    expect([publish('a'), publish('b')]).toEqual(['routed', 'rejected']);
    await connection.durable();
    expect(told).toEqual([undefined, 'REJECTED']);
    expect(await drain('q')).toEqual(['a']);
    expect(await drain('other')).toEqual(['a', 'b']);
    expect(await drain('dead')).toEqual(['b']);
  });

  it('that a policy sets takes effect at once', async () => {
    await fresh();
    await declare('q');
    publishAll(connection, 'q', ['a', 'b', 'c']);
    const delivery = await connection.get('q');
    delivery?.queue.applyPolicy({ 'max-length': 1, 'message-ttl': 50 });
    expect(count('q')).toBe(1);
    publishAll(connection, 'q', ['d']);
    clock.advance(50);
    expect(count('q')).toBe(0);
    delivery?.queue.applyPolicy(undefined);
    publishAll(connection, 'q', ['e', 'f']);
    clock.advance(50);
    expect(count('q')).toBe(2);
  });
});

describe('dead letters', () => {
  it('are rejected messages with their story, in one place through a restart', async () => {
    await fresh({ durable: true });
    await declare('dead');
    await declare('q', TO_DEAD);
    publishAll(connection, 'q', ['a', 'b']);
    (await connection.get('q'))?.discard();
    await restart();
    expect(count('q')).toBe(1);
    const [letter] = await take('dead');
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
    await fresh();
    await declare('wait', {
      'x-message-ttl': 10,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'work',
    });
    await declare('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'wait' });
    await declare('self', { 'x-message-ttl': 10, 'x-dead-letter-exchange': '' });
    publishAll(connection, 'self', ['a']);
    publishAll(connection, 'work', ['b']);
    for (let time = 1; time <= 3; time++) {
      const delivery = await connection.get('work');
      expect(delivery?.message.body.toString()).toBe('b');
      delivery?.discard();
      clock.advance(10);
      await idle();
    }
    const [letter] = await take('work');
    expect(letter?.properties.headers?.['x-death']).toMatchObject([
      { count: 3, queue: 'wait', reason: 'expired' },
      { count: 3, queue: 'work', reason: 'rejected' },
    ]);
    expect(count('self')).toBe(0);
  });

  it('are dropped where the exchange is missing, and are not made by purge and delete', async () => {
    await fresh();
    await declare('dead');
    await declare('nowhere', { 'x-dead-letter-exchange': 'no' });
    publishAll(connection, 'nowhere', ['a']);
    (await connection.get('nowhere'))?.discard();
    await declare('q', TO_DEAD);
    publishAll(connection, 'q', ['a', 'b']);
    await connection.purgeQueue('q');
    publishAll(connection, 'q', ['c']);
    await connection.deleteQueue('q');
    expect(await drain('dead')).toEqual([]);
  });

  it('wait while the disk fails, and go when it is well', async () => {
    await fresh({ durable: true });
    await declare('dead');
    await declare('q', { 'x-message-ttl': 100, ...TO_DEAD });
    publishAll(connection, 'q', ['a']);
    await connection.durable();
    disk.fault = (operation) =>
      operation === 'write' ? Object.assign(new Error('EIO'), { code: 'EIO' }) : undefined;
    connection.publish(to('dead', 'x'));
    await expect(connection.durable()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    clock.advance(100);
    await idle();
    expect(count('dead')).toBeLessThan(2);
    disk.fault = undefined;
    for (let time = 0; time < 40 && broker.failure !== undefined; time++) {
      clock.advance(1000);
      for (let turn = 0; turn < 20; turn++) await idle();
    }
    expect(broker.failure).toBeUndefined();
    clock.advance(10_000);
    expect(await drain('dead')).toContain('a');
    expect(count('q')).toBe(0);
  });
});

describe('priorities', () => {
  it('come before age, through a restart', async () => {
    await fresh({ durable: true });
    await declare('q', { 'x-max-priority': 5 });
    const publish = (body: string, priority?: number): string =>
      connection.publish(to('q', body, { properties: { deliveryMode: 2, ...(priority && { priority }) } }));
    publish('low');
    publish('five', 5);
    publish('nine', 9);
    publish('two', 2);
    const first = await connection.get('q');
    expect(first?.message.body.toString()).toBe('five');
    publish('two again', 2);
    first?.requeue({ failed: false });
    await restart();
    expect(await drain('q')).toEqual(['five', 'nine', 'two', 'two again', 'low']);
  });

  it('of consumers come before turns, as long as they have credit', async () => {
    await fresh();
    await declare('q');
    const { inbox: low } = consumeInto(connection, 'q');
    const { inbox: high } = consumeInto(connection, 'q', { priority: 10, prefetchCount: 2 });
    publishAll(connection, 'q', ['a', 'b', 'c']);
    await idle();
    expect([high.bodies, low.bodies]).toEqual([['a', 'b'], ['c']]);
    high.deliveries[0]?.ack();
    publishAll(connection, 'q', ['d', 'e']);
    await idle();
    expect([high.bodies, low.bodies]).toEqual([
      ['a', 'b', 'd'],
      ['c', 'e'],
    ]);
  });
});

describe('a single active consumer', () => {
  it('gets all until it goes; then the next one does', async () => {
    await fresh();
    await declare('q', { 'x-single-active-consumer': true });
    const first = consumeInto(connection, 'q', { prefetchCount: 1 });
    const second = consumeInto(connection, 'q');
    publishAll(connection, 'q', ['a', 'b', 'c']);
    await idle();
    expect([first.inbox.bodies, second.inbox.bodies]).toEqual([['a'], []]);
    connection.cancel(first.consumer);
    await idle();
    expect(second.inbox.bodies).toEqual(['b', 'c']);
    expect(() => consumeInto(connection, 'q', { exclusive: true })).toThrow('in exclusive use');
  });
});

describe('a quorum queue', () => {
  it('gives a message up after so many returns, whatever they were', async () => {
    await fresh({ durable: true });
    await declare('dead');
    await declare('q', { 'x-queue-type': 'quorum', 'x-delivery-limit': 2, ...TO_DEAD });
    publishAll(connection, 'q', ['a']);
    const counts: (number | undefined)[] = [];
    for (const failed of [true, false]) {
      const delivery = await connection.get('q');
      counts.push(delivery?.deliveryCount);
      delivery?.requeue({ failed });
    }
    await restart();
    const last = await connection.get('q');
    counts.push(last?.deliveryCount);
    expect(counts).toEqual([0, 1, 2]);
    last?.requeue({ failed: true });
    expect(count('q')).toBe(0);
    const [letter] = await take('dead');
    expect(letter?.properties.headers?.['x-first-death-reason']).toBe('delivery_limit');
  });

  it('delays retries, longer each time, also through a restart', async () => {
    await fresh({ durable: true });
    await declare('q', {
      'x-queue-type': 'quorum',
      'x-delayed-retry-type': 'failed',
      'x-delayed-retry-min': 1000,
      'x-delayed-retry-max': 1500,
    });
    publishAll(connection, 'q', ['a', 'b']);
    (await connection.get('q'))?.requeue({ failed: false });
    const first = await connection.get('q');
    expect(first?.message.body.toString()).toBe('a');
    first?.requeue({ failed: true });
    expect(count('q')).toBe(1);
    clock.advance(1499);
    expect(count('q')).toBe(1);
    clock.advance(1);
    expect(count('q')).toBe(2);
    (await connection.get('q'))?.requeue({ failed: true });
    await restart();
    expect(count('q')).toBe(1);
    clock.advance(1499);
    expect(count('q')).toBe(1);
    clock.advance(1);
    expect(await drain('q')).toEqual(['a', 'b']);
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
    await fresh({ durable: true });
    await declare('q');
    await connection.declareExchange('later', {
      type: 'x-delayed-message',
      arguments: { 'x-delayed-type': 'direct' },
    });
    await connection.bindQueue('q', 'later', 'q');
  }

  it('holds a message for its delay, exactly, and says so in its header', async () => {
    await prepare();
    expect(connection.publish(delayed('late', 2000))).toBe('routed');
    expect(connection.publish(delayed('soon', 1000))).toBe('routed');
    expect(connection.publish(delayed('now'))).toBe('routed');
    expect(await drain('q')).toEqual(['now']);
    clock.advance(999);
    expect(await drain('q')).toEqual([]);
    clock.advance(1);
    const [soon] = await take('q');
    expect(soon?.body.toString()).toBe('soon');
    expect(soon?.properties.headers?.['x-delay']).toBe(-1000);
    clock.advance(1000);
    expect(await drain('q')).toEqual(['late']);
  });

  it('holds them through a restart, and sends on what fell due meanwhile', async () => {
    await prepare();
    connection.publish(delayed('a', 1000));
    connection.publish(delayed('b', 3000));
    await connection.durable();
    await broker.close();
    clock.advance(1500);
    await start(disk);
    await idle();
    clock.advance(0);
    expect(await drain('q')).toEqual(['a']);
    await restart();
    expect(await drain('q')).toEqual([]);
    clock.advance(1500);
    expect(await drain('q')).toEqual(['b']);
    await restart();
    expect(await drain('q')).toEqual([]);
  });

  it('routes at its time: to nobody, it is dropped; deleted, it holds nothing', async () => {
    await prepare();
    connection.publish(delayed('a', 1000));
    await connection.unbindQueue('q', 'later', 'q');
    clock.advance(1000);
    expect(await drain('q')).toEqual([]);
    connection.publish(delayed('b', 1000));
    await connection.deleteExchange('later');
    await restart();
    clock.advance(1000);
    expect(await drain('q')).toEqual([]);
  });

  it('needs the type that it has when it is time', async () => {
    await fresh();
    const declareWith = (args: FieldTable) =>
      connection.declareExchange('x', { type: 'x-delayed-message', arguments: args });
    const text = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
    await expect(declareWith({})).rejects.toThrow(text);
    await expect(declareWith({ 'x-delayed-type': 'foo' })).rejects.toThrow(text);
  });
});
