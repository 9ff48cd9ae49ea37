import { describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { consumeInto, idle, to } from './engine.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

const open = (fileSystem: SimulatedFileSystem) => openBroker({ directory: '/data', fileSystem });

describe('a purge', () => {
  it('takes what is ready, and what a consumer has stays, also after a crash', async () => {
    const disk = new SimulatedFileSystem();
    const broker = await open(disk);
    const connection = broker.connect();
    await connection.declareQueue('q');
    for (const body of ['held', 'ready', 'ready too']) connection.publish(to('q', body));
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 1 });
    await inbox.nth(1);
    expect(await connection.purgeQueue('q')).toBe(2);
    connection.publish(to('q', 'later'));
    await connection.durable();
    const again = await open(disk.afterPowerCut(() => 0));
    const after = consumeInto(again.connect(), 'q').inbox;
    await after.nth(2);
    expect(after.bodies).toEqual(['held', 'later']);
    await again.close();
    await broker.close();
  });

  it('of transient messages does not reach the messages of the next start', async () => {
    const disk = new SimulatedFileSystem();
    const broker = await open(disk);
    const connection = broker.connect();
    await connection.declareQueue('q');
    // Their sequences are in no record but the purge's.
    for (let i = 0; i < 10; i++) connection.publish(to('q', String(i), { properties: {} }));
    expect(await connection.purgeQueue('q')).toBe(10);
    await broker.close();
    const second = await open(disk);
    const publisher = second.connect();
    publisher.publish(to('q', 'kept'));
    await publisher.durable();
    await second.close();
    const third = await open(disk);
    expect(third.connect().checkQueue('q').messageCount).toBe(1);
    await third.close();
  });

  it('of very many is over at once for who asks, gives the disk back in turns, and what comes meanwhile stays', async () => {
    const disk = new SimulatedFileSystem();
    const small = { directory: '/data', fileSystem: disk, segmentBytesMax: 64 * 1024, settlementDelayMs: 0 };
    const broker = await openBroker(small);
    const connection = broker.connect();
    await connection.declareQueue('q', { arguments: { 'x-max-priority': 1 } });
    for (let i = 0; i < 60_000; i++) {
      connection.publish(to('q', '', { properties: { deliveryMode: 2, priority: i % 2 } }));
      if (i % 1000 === 0) await connection.durable();
    }
    await connection.durable();
    const segments = (): number => disk.paths().filter((path) => path.endsWith('.segment')).length;
    expect(segments()).toBeGreaterThan(20);
    const purging = connection.purgeQueue('q');
    connection.publish(to('q', 'later'));
    expect(await purging).toBe(60_000);
    expect(connection.checkQueue('q').messageCount).toBe(1);
    for (let turns = 0; turns < 1000 && segments() > 2; turns++) await idle();
    expect(segments()).toBeLessThanOrEqual(2);
    await broker.close();
    const again = await openBroker(small);
    expect(again.connect().checkQueue('q').messageCount).toBe(1);
    await again.close();
  });
});
