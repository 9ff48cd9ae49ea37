import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import '@nestmq/testing/jest';
import { QueueModule, UnrecoverableException } from '@nestmq/transport';

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  placed(@Payload() { id }: { readonly id: number }): void {
    if (id < 0) throw new UnrecoverableException('no such order');
  }
}

const ignore = (): void => {};
let harness: QueueTestHarness;
beforeEach(async () => {
  harness = await QueueTestHarness.start(
    Test.createTestingModule({
      imports: [QueueModule.forRoot({ url: 'file:./data', queue: 'orders' })],
      controllers: [Orders],
    }).setLogger({ log: ignore, warn: ignore, error: ignore }),
  );
});
afterEach(() => harness.close());

/** What a failed expectation says. */
async function failureOf(expectation: Promise<void>): Promise<string> {
  return expectation.then(
    () => 'it held',
    ({ message }: Error) => message,
  );
}

describe('the matchers', () => {
  it('hold when what they wait for comes, by pattern and data', async () => {
    const held = [
      expect(harness).toHavePublished('order.*', { id: 7 }),
      expect(harness).toHaveConsumed('order.placed', expect.objectContaining({ id: 7 })),
      expect(harness).toHaveDeadLettered('order.placed', { id: -1 }),
    ];
    await harness.emit('order.placed', { id: 7 });
    await harness.emit('order.placed', { id: -1 });
    await Promise.all(held);
    await harness.idle();
    await expect(harness).not.toHaveDeadLettered('order.placed', { id: 7 });
    await expect(harness).not.toHaveConsumed('order.cancelled');
  });

  it('fail with the timeline', async () => {
    await harness.emit('order.placed', { id: 7 });
    const missing = expect(harness).toHaveConsumed('order.placed', { id: 8 }, { timeout: 20 });
    const text = await failureOf(missing);
    expect(text).toContain("Expected 1 of 'order.placed' to be consumed within 20 ms, but there are 0.");
    expect(text).toContain('order.placed {"id":7}');
    const unwanted = await failureOf(expect(harness).not.toHavePublished('order.placed'));
    expect(unwanted).toContain("Expected none, but there are 1 of 'order.placed' published.");
  });
});
