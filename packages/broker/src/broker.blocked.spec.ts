import { describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import { consumeInto, to } from './engine.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

class Disk extends SimulatedFileSystem {
  free = 50;
  override async freeBytes(): Promise<number> {
    return this.free;
  }
}

async function nearlyFull(): Promise<{ broker: Broker; clock: ManualClock; disk: Disk }> {
  const [clock, disk] = [new ManualClock(), new Disk()];
  const options = { directory: '/data', fileSystem: disk, clock, settlementDelayMs: 0 };
  const before = await openBroker({ ...options, diskFreeBytesMin: 0 });
  const connection = before.connect();
  await connection.declareQueue('q');
  for (const body of ['1', '2', '3']) connection.publish(to('q', body));
  await connection.durable();
  await before.close();
  return { broker: await openBroker({ ...options, diskFreeBytesMin: 100 }), clock, disk };
}

describe('J5 a broker whose disk is nearly full', () => {
  it('blocks publishers from the start, says why, and lets consumers go on', async () => {
    const { broker } = await nearlyFull();
    const connection = broker.connect();
    expect(broker.blocked).toBe(
      "The disk of '/data/journal' has 50 bytes left; publishing waits until it has 100.",
    );
    expect(() => connection.publish(to('q', 'no'))).toThrow(
      expect.objectContaining({
        code: 'BLOCKED',
        message: expect.stringContaining(broker.blocked as string),
      }),
    );
    expect(() => connection.transact([to('q', 'no')], [])).toThrow(
      expect.objectContaining({ code: 'BLOCKED' }),
    );
    await connection.declareQueue('dead');
    const { inbox } = consumeInto(connection, 'q');
    const [first, second, third] = [await inbox.nth(1), await inbox.nth(2), await inbox.nth(3)];
    first.ack();
    expect(connection.forward(second, to('dead', ''))).toBe('routed');
    const { settled } = third;
    expect(connection.transact([to('dead', 'part')], [third], undefined, { settles: true })).toEqual([
      'routed',
    ]);
    expect([settled, third.settled]).toEqual([false, true]);
    connection.transact([], []);
    expect(connection.publish(to('dead', 'letter'), undefined, { settles: true })).toBe('routed');
    await connection.durable();
    expect(connection.checkQueue('dead').messageCount).toBe(3);
    await broker.close();
  });

  it('lets publishers go on, in the order in which they came, when there is room again', async () => {
    const { broker, clock, disk } = await nearlyFull();
    const connection = broker.connect();
    const order: number[] = [];
    const waiting = [1, 2, 3].map((name) => connection.unblocked().then(() => order.push(name)));
    disk.free = 100;
    clock.advance(1000);
    await Promise.all(waiting);
    expect(order).toEqual([1, 2, 3]);
    expect(connection.blocked).toBeUndefined();
    expect(connection.publish(to('q', '4'))).toBe('routed');
    await broker.close();
  });

  it('tells who waits that it is closed', async () => {
    const { broker } = await nearlyFull();
    const waiting = broker
      .connect()
      .unblocked()
      .catch((error: unknown) => error);
    await broker.close();
    expect(await waiting).toMatchObject({ code: 'CLOSED' });
  });
});
