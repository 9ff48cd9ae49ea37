import 'reflect-metadata';
import { Test } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import '@nestmq/testing/vitest';
import { QueueModule } from '@nestmq/transport';
import { expect, it } from 'vitest';

it('fails with the timeline what is expected of messages and does not hold', async () => {
  const imports = [QueueModule.forRoot({ url: 'memory:', queue: 'nobody' })];
  const builder = Test.createTestingModule({ imports }).setLogger({ log() {}, warn() {}, error() {} });
  const harness = await QueueTestHarness.start(builder);
  await harness.emit('order.placed', { id: 7 });
  const missing = expect(harness).toHavePublished('order.placed', { id: 8 }, { timeout: 20 });
  await expect(missing).rejects.toThrow(
    'Expected 1 of \'order.placed\' to be published within 20 ms, but there are 0.\n\norder.placed {"id":7}',
  );
  const unwanted = expect(harness).not.toHavePublished('order.*', expect.objectContaining({ id: 7 }));
  await expect(unwanted).rejects.toThrow("Expected none, but there are 1 of 'order.*' published.");
  await harness.close();
});
