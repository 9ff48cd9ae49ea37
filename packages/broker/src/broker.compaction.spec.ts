import { describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import type { Connection } from './connection.js';
import { consumeInto, idle, to } from './engine.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

const SEGMENT_BYTES = 64 * 1024;
const open = (fileSystem: SimulatedFileSystem): Promise<Broker> =>
  openBroker({
    directory: '/data',
    fileSystem,
    segmentBytesMax: SEGMENT_BYTES,
    cacheBytesMax: 16 * 1024,
    settlementDelayMs: 0,
  });

/** Sends so many bytes through a queue of their own, in messages of 4 KiB, each consumed before the next commit. */
async function traffic(connection: Connection, bytes: number): Promise<void> {
  for (let sent = 0; sent < bytes; sent += 4096 * 8) {
    for (let i = 0; i < 8; i++) connection.publish({ ...to('busy', ''), body: Buffer.alloc(4096, i) });
    await connection.durable();
    await idle();
  }
}

function segmentsOn(disk: SimulatedFileSystem): string[] {
  return disk.paths().filter((path) => path.endsWith('.segment'));
}

describe('J7 a message that is stuck', () => {
  it('pins no more than two segments, whatever goes by, and is kept with all that belongs to it', async () => {
    const disk = new SimulatedFileSystem();
    const broker = await open(disk);
    const connection = broker.connect();
    for (const queue of ['busy', 'ready', 'tried', 'unsettled', 'moved', 'shared'])
      await connection.declareQueue(queue);
    await connection.declareExchange('both', { type: 'fanout' });
    for (const queue of ['ready', 'shared']) await connection.bindQueue(queue, 'both', '');
    connection.publish({ ...to('', 'in two queues'), exchange: 'both' });
    connection.publish(to('tried', 'tried'));
    connection.publish(to('unsettled', 'unsettled'));
    connection.publish(to('unsettled', 'to be moved'));
    const tried = consumeInto(connection, 'tried', { prefetchCount: 1 });
    (await tried.inbox.nth(1)).requeue({ failed: true });
    await tried.inbox.nth(2);
    connection.cancel(tried.consumer);
    (await tried.inbox.nth(2)).requeue({ failed: true });
    const held = consumeInto(connection, 'unsettled');
    const unsettled = await held.inbox.nth(1);
    connection.forward(await held.inbox.nth(2), to('moved', ''));
    consumeInto(connection, 'busy', { noAck: true });

    let most = 0;
    for (let round = 0; round < 60; round++) {
      await traffic(connection, SEGMENT_BYTES);
      most = Math.max(most, segmentsOn(disk).length);
    }
    // Two segments, the one being written, and the one being emptied.
    expect(most).toBeLessThanOrEqual(4);
    expect(Math.min(...segmentsOn(disk).map((path) => Number(path.slice(-18, -8))))).toBeGreaterThan(30);

    // What was in a consumer's hands all the time can be settled where it is now.
    expect(unsettled.message.body.toString()).toBe('unsettled');
    expect(unsettled.requeue({ failed: true })).toBe(true);
    await connection.durable();

    for (const left of [disk.afterPowerCut(() => 0), disk]) {
      const same = left === disk;
      const again = same ? broker : await open(left);
      const after = same ? broker.connect() : again.connect();
      for (const [queue, body, count] of [
        ['ready', 'in two queues', 0],
        ['shared', 'in two queues', 0],
        ['tried', 'tried', 2],
        ['moved', 'to be moved', 0],
      ] as const) {
        const { inbox, consumer } = consumeInto(after, queue);
        const delivery = await inbox.nth(1);
        expect([queue, delivery.message.body.toString(), delivery.deliveryCount]).toEqual([
          queue,
          body,
          count,
        ]);
        expect(after.checkQueue(queue)).toMatchObject({ messageCount: 0, unsettledCount: 1 });
        after.cancel(consumer);
      }
      await again.close();
    }
  });

  it('read from the disk while it is brought forward is delivered all the same', async () => {
    const disk = new SimulatedFileSystem();
    const broker = await open(disk);
    const connection = broker.connect();
    for (const queue of ['busy', 'backlog']) await connection.declareQueue(queue);
    const bodies = Array.from({ length: 300 }, (_, i) => String(i));
    for (const body of bodies) connection.publish(to('backlog', body));
    consumeInto(connection, 'busy', { noAck: true });
    const { inbox } = consumeInto(connection, 'backlog', { prefetchCount: 1 });
    for (let i = 1; i <= bodies.length; i++) {
      const delivery = await inbox.nth(i);
      if (i % 10 === 0) await traffic(connection, SEGMENT_BYTES);
      delivery.ack();
    }
    expect(inbox.bodies).toEqual(bodies);
    await broker.close();
    const after = await open(disk.afterKill());
    expect(after.connect().checkQueue('backlog').messageCount).toBe(0);
    await after.close();
  });

  it('counts by its bytes: small ones beside large ones that are settled pin no more than a few segments', async () => {
    const disk = new SimulatedFileSystem();
    const broker = await open(disk);
    const connection = broker.connect();
    for (const queue of ['busy', 'small']) await connection.declareQueue(queue);
    consumeInto(connection, 'busy', { noAck: true });
    let most = 0;
    for (let round = 0; round < 300; round++) {
      connection.publish(to('small', 'x'));
      connection.publish({ ...to('busy', ''), body: Buffer.alloc(16_000) });
      await connection.durable();
      await idle();
      most = Math.max(most, segmentsOn(disk).length);
    }
    // Half of all messages are alive, and a thousandth of the bytes.
    expect(most).toBeLessThanOrEqual(8);
    expect(connection.checkQueue('small').messageCount).toBe(300);
    await broker.close();
  });
});
