import { describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { consumeInto, to } from './engine.spec.support.js';
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
});
