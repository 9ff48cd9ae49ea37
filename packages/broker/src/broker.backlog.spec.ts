import { expect, it } from '@jest/globals';
import { openBroker } from './broker.js';
import { ManualClock } from './clock.js';
import { to } from './engine.spec.support.js';
import { LIMITS } from './limits.js';
import { GatedFileSystem } from './store/gated-file-system.spec.support.js';
import { SimulatedFileSystem } from './store/simulated-file-system.js';

it('who publishes and does not wait is held back while too much is on its way to the disk', async () => {
  const disk = new GatedFileSystem(new SimulatedFileSystem());
  const options = { fileSystem: disk, clock: new ManualClock(), settlementDelayMs: 0 };
  const broker = await openBroker({ ...options, directory: '/data', segmentBytesMax: 512 * 1024 * 1024 });
  const connection = broker.connect();
  await connection.declareQueue('q');
  const gate = disk.hold('write');
  const message = { ...to('q', ''), body: Buffer.alloc(1024 * 1024) };
  let published = 0;
  const countMax = (2 * LIMITS.underWayBytesMax) / message.body.length;
  expect(() => {
    for (; published < countMax; published++) connection.publish(message);
  }).toThrow(/BLOCKED|on their way to the disk/);
  expect(published * message.body.length).toBeLessThan(LIMITS.underWayBytesMax * 1.1);
  await gate.reached;
  gate.open();
  await connection.unblocked();
  expect(broker.blocked).toBeUndefined();
  connection.publish(message);
  await connection.durable();
  expect(connection.checkQueue('q').messageCount).toBe(published + 1);
  await broker.close();
});
