import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import type { Connection } from './connection.js';
import { consumeInto, idle, publishAll, to } from './engine.spec.support.js';
import type { Delivery } from './queue/delivery.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

let disk: SimulatedFileSystem;
let broker: Broker;
let connection: Connection;

async function open(): Promise<void> {
  broker = await openBroker({ directory: '/data', fileSystem: disk, segmentBytesMax: 64 * 1024 });
  connection = broker.connect();
}

/** What the next process finds. */
async function crash(): Promise<void> {
  const left = disk.afterKill();
  await broker.close();
  disk = left;
  await open();
}

const get = async (): Promise<Delivery> => (await connection.get('q')) as Delivery;

beforeEach(async () => {
  disk = new SimulatedFileSystem();
  await open();
  await connection.declareQueue('q');
  publishAll(connection, 'q', ['a', 'b']);
});

afterEach(() => broker.close());

describe('a delivery that is counted', () => {
  it('leaves word of that in a crash, and its message where it was', async () => {
    for (const count of [1, 2]) {
      (await get()).count();
      await connection.durable();
      await crash();
      const found = await get();
      expect([found.message.body.toString(), found.deliveryCount]).toEqual(['a', count]);
      found.requeue({ failed: false });
    }
    expect((await get()).message.body.toString()).toBe('a');
    const second = await get();
    expect([second.message.body.toString(), second.deliveryCount]).toEqual(['b', 0]);
  });

  it('counts once, whether it comes back failed or not', async () => {
    const first = await get();
    first.count();
    first.count();
    expect(first.deliveryCount).toBe(1);
    first.requeue({ failed: true });
    first.count();
    expect((await get()).deliveryCount).toBe(1);
  });

  it('has its former count again when it comes back without having failed, also after a crash', async () => {
    (await get()).requeue({ failed: true });
    const again = await get();
    again.count();
    await connection.durable();
    again.requeue({ failed: false });
    await connection.durable();
    await crash();
    expect((await get()).deliveryCount).toBe(1);
  });

  it('has its former count again when its connection is closed, and with it the broker', async () => {
    (await get()).count();
    await connection.durable();
    await broker.close();
    await open();
    expect((await get()).deliveryCount).toBe(0);
  });

  it('keeps its count when its message is brought forward to another segment', async () => {
    (await get()).count();
    await connection.declareQueue('busy');
    consumeInto(connection, 'busy', { noAck: true });
    const first = disk.paths().find((path) => path.endsWith('.segment'));
    while (disk.paths().some((path) => path === first)) {
      connection.publish({ ...to('busy', ''), body: Buffer.alloc(4096) });
      await connection.durable();
      await idle();
    }
    await crash();
    expect((await get()).deliveryCount).toBe(1);
  });
});

describe('a delivery', () => {
  it('tells whether its message was found at opening', async () => {
    expect((await get()).isFound).toBe(false);
    await crash();
    publishAll(connection, 'q', ['c']);
    const found = [await get(), await get(), await get()].map(({ isFound }) => isFound);
    expect(found).toEqual([true, true, false]);
  });
});
