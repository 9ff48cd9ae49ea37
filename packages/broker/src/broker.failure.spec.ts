import { afterEach, describe, expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
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
});
