import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness, type SeenMessage } from '@nestmq/testing';
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
    expect(text).toMatch(/^With the data \{"id": 8\}: /);
    expect(text).toContain('order.placed {"id":7}');
    const unwanted = await failureOf(expect(harness).not.toHavePublished('order.placed'));
    expect(unwanted).toContain("Expected none, but there are 1 of 'order.placed' published.");
  });

  it('say what they expected, also when it is not a value', async () => {
    await harness.emit('order.placed', { id: 7 });
    const like = expect.objectContaining({ id: 8 });
    const missing = await failureOf(expect(harness).toHavePublished('order.placed', like, { timeout: 20 }));
    expect(missing).toMatch(/^With the data ObjectContaining \{"id": 8\}: Expected 1 of/);
    const seven = expect.objectContaining({ id: 7 });
    const unwanted = await failureOf(expect(harness).not.toHavePublished('order.placed', seven));
    expect(unwanted).toMatch(/^With the data ObjectContaining \{"id": 7\}: Expected none/);
    const other = expect(42 as unknown as QueueTestHarness).toHavePublished('order.placed');
    expect(await failureOf(other)).toBe(
      'Only a QueueTestHarness has messages: expect(harness), not expect(42).',
    );
  });

  it('tell sets and maps apart by what is in them', async () => {
    const all = () => ({ count: 1, describe: () => 'TIMELINE', first: () => Promise.resolve() });
    const seen = { data: new Set(['a']) } as unknown as SeenMessage;
    let isSeen = false;
    const watched = {
      consumed: (_pattern: string, predicate: (one: SeenMessage) => boolean) => {
        isSeen = predicate(seen);
        return all();
      },
      deadLettered: all,
    } as unknown as QueueTestHarness;
    await expect(watched).toHaveConsumed('a', new Set(['a']));
    expect(isSeen).toBe(true);
    await expect(watched).toHaveConsumed('a', new Set(['b']));
    expect(isSeen).toBe(false);
  });
});
