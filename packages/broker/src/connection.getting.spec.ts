import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import type { Connection } from './connection.js';
import { consumeInto, engine, idle, publishAll } from './engine.spec.support.js';
import { GatedFileSystem } from './store/gated-file-system.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

let broker: Broker;
let connection: Connection;

beforeEach(async () => {
  ({ broker, connection } = await engine());
  await connection.declareQueue('q');
});

afterEach(() => broker.close());

describe('a message that is got', () => {
  it('is the next one, is unsettled until it is acked, and no consumer counts', async () => {
    publishAll(connection, 'q', ['1', '2']);
    const first = await connection.get('q');
    expect(first?.message.body.toString()).toBe('1');
    expect(connection.checkQueue('q')).toMatchObject({
      messageCount: 1,
      unsettledCount: 1,
      consumerCount: 0,
    });
    expect(first?.ack()).toBe(true);
    expect(connection.checkQueue('q')).toMatchObject({ messageCount: 1, unsettledCount: 0 });
  });

  it('without acks is settled at once', async () => {
    publishAll(connection, 'q', ['1']);
    const delivery = await connection.get('q', { noAck: true });
    expect([delivery?.settled, connection.checkQueue('q').unsettledCount]).toEqual([true, 0]);
  });

  it('goes back to its place with its connection', async () => {
    publishAll(connection, 'q', ['1', '2']);
    const other = broker.connect();
    await other.get('q');
    other.close();
    const again = await connection.get('q');
    expect([again?.message.body.toString(), again?.redelivered]).toEqual(['1', true]);
  });

  it('goes back when its connection was closed before it came', async () => {
    publishAll(connection, 'q', ['1']);
    const other = broker.connect();
    void other.get('q');
    other.close();
    await idle();
    expect(connection.checkQueue('q')).toMatchObject({ messageCount: 1, unsettledCount: 0 });
  });

  it('comes from the disk as well', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'nestmq-get-'));
    const onDisk = await openBroker({ directory, cacheBytesMax: 0 });
    const reader = onDisk.connect();
    await reader.declareQueue('q');
    publishAll(reader, 'q', ['1', '2', '3']);
    await reader.durable();
    const got = await Promise.all([reader.get('q'), reader.get('q'), reader.get('q'), reader.get('q')]);
    expect(got.map((one) => one?.message.body.toString())).toEqual(['1', '2', '3', undefined]);
    await onDisk.close();
    rmSync(directory, { recursive: true });
  });

  it('is none when a purge overtakes it on its way from the disk', async () => {
    const fileSystem = new GatedFileSystem(new SimulatedFileSystem());
    const onDisk = await openBroker({ directory: '/data', fileSystem, cacheBytesMax: 0 });
    const reader = onDisk.connect();
    await reader.declareQueue('q');
    publishAll(reader, 'q', ['1', '2']);
    await reader.durable();
    const reading = fileSystem.hold('read');
    const got = reader.get('q');
    await reading.reached;
    expect(await reader.purgeQueue('q')).toBe(2);
    expect(await got).toBeUndefined();
    reading.open();
    await onDisk.close();
  });
});

it('an empty queue gives nothing, and one that is deleted meanwhile as well', async () => {
  expect(await connection.get('q')).toBeUndefined();
  publishAll(connection, 'q', ['1']);
  const got = connection.get('q');
  await connection.deleteQueue('q');
  expect(await got).toBeUndefined();
  await expect(async () => connection.get('q')).rejects.toThrow("NOT_FOUND - no queue 'q' in vhost '/'");
});

it('a consumer that may not take deliveries gets them when it is woken', async () => {
  let open = false;
  const { inbox, consumer } = consumeInto(connection, 'q', { mayDeliver: () => open });
  publishAll(connection, 'q', ['1']);
  await idle();
  expect(inbox.bodies).toEqual([]);
  open = true;
  consumer.wake();
  expect((await inbox.nth(1)).message.body.toString()).toBe('1');
});

describe('deleting on a condition', () => {
  it('is refused for a queue that is not empty, or in use', async () => {
    publishAll(connection, 'q', ['1']);
    await expect(connection.deleteQueue('q', { ifEmpty: true })).rejects.toThrow(
      "PRECONDITION_FAILED - queue 'q' in vhost '/' not empty",
    );
    consumeInto(connection, 'q');
    await expect(connection.deleteQueue('q', { ifUnused: true })).rejects.toThrow(
      "PRECONDITION_FAILED - queue 'q' in vhost '/' in use",
    );
  });

  it('is refused for an exchange with a binding', async () => {
    await connection.declareExchange('x', { type: 'topic' });
    await connection.bindQueue('q', 'x', 'k');
    await expect(connection.deleteExchange('x', { ifUnused: true })).rejects.toThrow(
      "PRECONDITION_FAILED - exchange 'x' in vhost '/' in use",
    );
    await connection.unbindQueue('q', 'x', 'k');
    await connection.deleteExchange('x', { ifUnused: true });
    expect(() => connection.checkExchange('x')).toThrow("NOT_FOUND - no exchange 'x' in vhost '/'");
  });
});
