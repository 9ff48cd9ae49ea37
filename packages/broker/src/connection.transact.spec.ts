import { describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { consumeInto, engine, idle, to } from './engine.spec.support.js';
import { LIMITS } from './limits.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

describe('J2 a transaction', () => {
  it('publishes in order and acks, and passes over what is unroutable or settled', async () => {
    const { broker, connection } = await engine();
    await connection.declareQueue('q');
    await connection.declareQueue('r');
    connection.publish(to('q', 'first'));
    connection.publish(to('q', 'second'));
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 2 });
    const [first, second] = [await inbox.nth(1), await inbox.nth(2)];
    first.ack();
    const outcomes = connection.transact(
      [to('r', 'a'), to('nowhere', 'b'), to('r', 'c', { properties: {} })],
      [first, second, second],
    );
    expect(outcomes).toEqual(['routed', 'unroutable', 'routed']);
    expect([first.settled, second.settled]).toEqual([true, true]);
    expect(connection.checkQueue('q')).toMatchObject({ messageCount: 0, unsettledCount: 0 });
    const after = consumeInto(connection, 'r').inbox;
    await after.nth(2);
    expect(after.bodies).toEqual(['a', 'c']);
    await broker.close();
  });

  it('of which a part is refused does nothing', async () => {
    const { broker, connection } = await engine();
    await connection.declareQueue('q');
    connection.publish(to('q', 'first'));
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 1 });
    const delivery = await inbox.nth(1);
    const wrong = [to('q', 'a'), { ...to('q', 'b'), exchange: 'missing' }];
    expect(() => connection.transact(wrong, [delivery])).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND' }),
    );
    const tooLarge = [to('q', 'a'), { ...to('q', ''), body: Buffer.alloc(LIMITS.bodyBytesMax + 1) }];
    expect(() => connection.transact(tooLarge, [delivery])).toThrow(
      expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
    );
    expect(delivery.settled).toBe(false);
    expect(connection.checkQueue('q')).toMatchObject({ messageCount: 0, unsettledCount: 1 });
    await broker.close();
  });

  it('that a queue has no room for is refused as a whole: also when it fills the queue itself', async () => {
    const { broker, connection } = await engine();
    await connection.declareQueue('q');
    connection.publish(to('q', 'first'));
    const { inbox } = consumeInto(connection, 'q', { prefetchCount: 1 });
    const delivery = await inbox.nth(1);
    const overflow = { 'x-overflow': 'reject-publish' };
    await connection.declareQueue('few', { arguments: { 'x-max-length': 2, ...overflow } });
    await connection.declareQueue('short', { arguments: { 'x-max-length-bytes': 5, ...overflow } });
    const transact = (queue: string, ...bodies: readonly string[]): unknown =>
      connection.transact([to('q', 'x'), ...bodies.map((body) => to(queue, body))], [delivery]);
    for (const [queue, ...bodies] of [
      ['few', 'a', 'b', 'c'],
      ['short', 'abc', 'def'],
    ] as const)
      expect(() => transact(queue, ...bodies)).toThrow('PRECONDITION_FAILED - partial tx completion');
    expect(connection.checkQueue('few').messageCount + connection.checkQueue('short').messageCount).toBe(0);
    expect(connection.checkQueue('q')).toMatchObject({ messageCount: 0, unsettledCount: 1 });
    expect(transact('few', 'a', 'b')).toEqual(['routed', 'routed', 'routed']);
    await broker.close();
  });

  it('that is never made leaves nothing seen by deduplication that was routed for it', async () => {
    const { broker, connection } = await engine();
    await connection.declareQueue('q');
    const once = { type: 'x-message-deduplication', arguments: { 'x-cache-size': 9 } } as const;
    await connection.declareExchange('once', once);
    await connection.bindQueue('q', 'once', 'q');
    const message = to('q', 'a', {
      exchange: 'once',
      properties: { headers: { 'x-deduplication-header': '1' } },
    });
    expect(connection.prepare({ ...message })).toBe(1);
    expect(connection.prepare(message)).toBe(1);
    expect(connection.transact([message, { ...message }], [])).toEqual(['routed', 'unroutable']);
    await broker.close();
  });

  it('that is too large for one record is refused, and nothing has changed', async () => {
    const disk = new SimulatedFileSystem();
    const broker = await openBroker({ directory: '/data', fileSystem: disk });
    const connection = broker.connect();
    await connection.declareQueue('q');
    const one = { ...to('q', ''), body: Buffer.alloc(60 * 1024 * 1024) };
    const large = [one, one, one];
    expect(() => connection.transact(large, [])).toThrow(
      expect.objectContaining({
        code: 'TRANSACTION_TOO_LARGE',
        message: expect.stringContaining('Commit more often'),
      }),
    );
    expect(connection.checkQueue('q').messageCount).toBe(0);
    await broker.close();
  });

  it('is there as a whole after a power cut, or not at all, wherever it comes', async () => {
    const disk = new SimulatedFileSystem();
    const open = (files: SimulatedFileSystem) =>
      openBroker({ directory: '/data', fileSystem: files, settlementDelayMs: 0 });
    const broker = await open(disk);
    const connection = broker.connect();
    await connection.declareQueue('q');
    await connection.declareQueue('r');
    connection.publish(to('q', 'taken'));
    const { inbox } = consumeInto(connection, 'q');
    const delivery = await inbox.nth(1);
    await connection.durable();
    const before = disk.readNow('/data/journal/0000000001.segment').length;
    connection.transact([to('r', 'a'), to('r', 'b'), to('r', 'c')], [delivery]);
    await connection.durable();
    await idle();
    const bytes = disk.readNow('/data/journal/0000000001.segment');
    const seen = new Set<string>();
    for (let end = before; end <= bytes.length; end++) {
      const left = disk.afterKill();
      left.replaceNow('/data/journal/0000000001.segment', bytes.subarray(0, end));
      await left.remove('/data/journal/durable');
      const again = await open(left);
      const other = again.connect();
      seen.add(`${other.checkQueue('q').messageCount} ${other.checkQueue('r').messageCount}`);
      await again.close();
    }
    expect([...seen]).toEqual(['1 0', '0 3']);
    await broker.close();
  });
});
