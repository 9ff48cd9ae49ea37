import { afterEach, describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import { consumeInto, idle, to } from './engine.spec.support.js';
import { type FaultInjector, SimulatedFileSystem, systemError } from './store/simulated-file-system.js';

/** Fails each sync of a segment file. */
const failingSync: FaultInjector = (operation, path) =>
  operation === 'sync' && path.endsWith('.segment') ? systemError('EIO', path) : undefined;

describe('a broker whose disk fails', () => {
  const disk = new SimulatedFileSystem();
  afterEach(() => {
    disk.fault = undefined;
  });

  it('still closes its connections, and their auto-delete queues, and says why it failed', async () => {
    const failures: Error[] = [];
    const broker = await openBroker({
      directory: '/data',
      fileSystem: disk,
      onFailure: (error) => failures.push(error),
    });
    const connection = broker.connect();
    await connection.declareQueue('q', { autoDelete: true });
    await connection.declareQueue('other');
    connection.consume('q', { onDelivery: () => {} });
    disk.fault = failingSync;
    connection.publish({
      exchange: '',
      routingKey: 'q',
      properties: { deliveryMode: 2 },
      body: Buffer.from('1'),
    });
    await expect(connection.durable()).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(connection.declareQueue('new')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await expect(connection.deleteQueue('other')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(() => connection.close()).not.toThrow();
    expect(broker.failure).toBe(failures[0]);
    await expect(broker.close()).rejects.toBe(broker.failure);
  });

  it('and can not read a message stands still in that queue alone, says why, and tries again', async () => {
    const files = new SimulatedFileSystem();
    const clock = new ManualClock();
    const failures: Error[] = [];
    const broker = await openBroker({
      directory: '/data',
      fileSystem: files,
      clock,
      settlementDelayMs: 0,
      cacheBytesMax: 0,
      onFailure: (error) => failures.push(error),
    });
    const connection = broker.connect();
    for (const queue of ['q', 'other']) await connection.declareQueue(queue);
    for (const body of ['1', '2']) connection.publish(to('q', body));
    await connection.durable();
    files.fault = (operation, path) => (operation === 'read' ? systemError('EIO', path) : undefined);
    const first = consumeInto(connection, 'q');
    await idle();
    expect(connection.checkQueue('q')).toMatchObject({
      messageCount: 2,
      readFailure: expect.stringContaining('EIO'),
    });
    expect(failures).toEqual([expect.objectContaining({ code: 'STORE_FAILED' })]);
    expect(failures[0]?.message).toContain("Queue 'q' stands still");
    const other = consumeInto(connection, 'other').inbox;
    connection.publish(to('other', 'goes on'));
    expect((await other.nth(1)).message.body.toString()).toBe('goes on');
    await expect(connection.get('q')).rejects.toMatchObject({ code: 'STORE_FAILED' });

    clock.advance(5000);
    await idle();
    expect(failures.length).toBe(1);
    files.fault = undefined;
    clock.advance(5000);
    await first.inbox.nth(2);
    expect(first.inbox.bodies).toEqual(['1', '2']);
    expect(connection.checkQueue('q').readFailure).toBeUndefined();
    await broker.close();
  });

  it('tells who asks for the message that can not be read, and does not let him wait', async () => {
    const files = new SimulatedFileSystem();
    const options = { directory: '/data', fileSystem: files, settlementDelayMs: 0, cacheBytesMax: 0 };
    const broker = await openBroker({ ...options, clock: new ManualClock(), onFailure: () => {} });
    const connection = broker.connect();
    await connection.declareQueue('q');
    connection.publish(to('q', '1'));
    await connection.durable();
    files.fault = (operation, path) => (operation === 'read' ? systemError('EIO', path) : undefined);
    await expect(connection.get('q')).rejects.toMatchObject({ code: 'STORE_FAILED' });
    await broker.close();
  });
});

describe('a broker whose definitions are missing', () => {
  /** A directory whose first segments, with the definitions in them, are gone. */
  async function withSnapshot(): Promise<SimulatedFileSystem> {
    const files = new SimulatedFileSystem();
    const broker = await openBroker({ directory: '/data', fileSystem: files, segmentBytesMax: 64 * 1024 });
    const connection = broker.connect();
    await connection.declareQueue('q');
    await connection.declareQueue('busy');
    consumeInto(connection, 'busy', { noAck: true });
    while (!files.paths().includes('/data/journal/definitions.json')) {
      connection.publish({ ...to('busy', ''), body: Buffer.alloc(30_000) });
      await connection.durable();
      await idle();
    }
    connection.publish(to('q', 'kept'));
    await connection.durable();
    await broker.close();
    return files;
  }

  it('does not throw the messages of their queues away: it does not open, and says what is missing', async () => {
    const files = await withSnapshot();
    const bytes = files.readNow('/data/journal/definitions.json');
    await files.remove('/data/journal/definitions.json');
    await expect(openBroker({ directory: '/data', fileSystem: files })).rejects.toMatchObject({
      code: 'JOURNAL_DAMAGED',
      message: expect.stringContaining('definitions.json is missing, and 1 messages are of a queue'),
    });
    const file = await files.open('/data/journal/definitions.json', 'create');
    await file.write(bytes, 0);
    await file.close();
    const again = await openBroker({ directory: '/data', fileSystem: files });
    expect(again.connect().checkQueue('q').messageCount).toBe(1);
    await again.close();
  });
});
