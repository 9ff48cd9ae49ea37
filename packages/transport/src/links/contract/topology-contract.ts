import { TopologyDriftException } from '../../queue.exceptions.js';
import { bodyOf, Consumed, message, publish, publishAll, SILENT, toQueue } from './contract-support.js';
import type { LinkContract } from './link-contract.js';

/** What is declared, looked at and deleted. */
export function topologyContract({ it, itUnless, expect, open, name, filled }: LinkContract): void {
  const itWithArguments = itUnless('queueArguments');

  it('tells that it is connected, once it can be used', async () => {
    let connected = 0;
    const link = await open({ ...SILENT, onConnected: () => connected++ });
    expect(connected).toBe(1);
    expect(link.blocked).toBeUndefined();
  });

  it('declares exchanges and queues again as it did before', async () => {
    const link = await open();
    const [exchange, queue] = [name('exchange'), name('queue')];
    for (let i = 0; i < 2; i++) {
      await link.declareExchange(exchange);
      await link.declareQueue(queue);
    }
    expect(await link.queueState(queue)).toMatchObject({ name: queue, ready: 0 });
  });

  itWithArguments(
    'uses a queue that is there with other arguments, after it has told the difference',
    async () => {
      const link = await open();
      const queue = name('queue');
      await link.declareQueue(queue, { arguments: { 'x-message-ttl': 3_600_000 } });
      const drift: unknown = await link.declareQueue(queue).catch((error: unknown) => error);
      expect(drift).toBeInstanceOf(TopologyDriftException);
      expect((drift as TopologyDriftException).drift).toMatchObject({
        kind: 'queue',
        name: queue,
        argument: 'x-message-ttl',
        expected: 'none',
      });
      await publishAll(link, queue, ['a']);
      const consumed = await Consumed.start(link, queue);
      expect((await consumed.count(1)).bodies).toEqual(['a']);
    },
  );

  it('keeps a queue of its own to itself, and takes it along when it closes', async () => {
    const [link, other] = [await open(), await open()];
    const queue = await link.declareOwnQueue();
    await publishAll(other, queue, ['a']);
    await expect(Consumed.start(other, queue)).rejects.toThrow('RESOURCE_LOCKED');
    expect((await (await Consumed.start(link, queue)).count(1)).bodies).toEqual(['a']);
    await link.close();
    expect(await publish(other, toQueue(queue, 'b'))).toMatchObject({ unroutable: true });
  });

  it('routes by bindings, until they are removed; one that is not there is no error', async () => {
    const link = await open();
    const [exchange, queue] = [name('exchange'), name('queue')];
    await link.declareExchange(exchange);
    await link.declareQueue(queue);
    await link.bindQueue(queue, exchange, 'order.*');
    expect(await publish(link, message(exchange, 'order.placed', 'a'))).toMatchObject({
      unroutable: undefined,
    });
    await link.unbindQueue(queue, exchange, 'order.*');
    await link.unbindQueue(queue, exchange, 'order.*');
    expect(await publish(link, message(exchange, 'order.placed', 'b'))).toMatchObject({ unroutable: true });
    expect((await link.peek(queue, 10)).map(({ body }) => body.toString())).toEqual(['a']);
  });

  it('counts what is ready, and knows no queue that is not there', async () => {
    const link = await open();
    const queue = name('queue');
    expect(await link.queueState(queue)).toBeUndefined();
    await link.declareQueue(queue);
    await publishAll(link, queue, ['a', 'b']);
    const state = await link.queueState(queue);
    expect(state).toMatchObject({ name: queue, ready: 2, consumers: 0 });
    expect([0, undefined]).toContain(state?.unsettled);
    await Consumed.start(link, queue, { prefetchCount: 1 });
    expect((await link.queueState(queue))?.consumers).toBe(1);
  });

  it('purges what is ready, and deletes a queue with it; one that is not there as well', async () => {
    const { link, queue } = await filled('a', 'b');
    expect(await link.purgeQueue(queue)).toBe(2);
    await publishAll(link, queue, ['c']);
    expect(await link.deleteQueue(queue)).toBe(1);
    expect(await link.deleteQueue(queue)).toBe(0);
    expect(await link.queueState(queue)).toBeUndefined();
  });

  it('peeks at the first messages of a queue, which stay in their places', async () => {
    const { link, queue } = await filled('a', 'b', 'c');
    for (let i = 0; i < 2; i++)
      expect((await link.peek(queue, 2)).map(({ body }) => body.toString())).toEqual(['a', 'b']);
    expect(await link.peek(queue, 10)).toHaveLength(3);
    const consumed = await Consumed.start(link, queue);
    expect((await consumed.count(3)).bodies).toEqual(['a', 'b', 'c']);
  });

  it('takes one message, to be settled; none when none is ready', async () => {
    const { link, queue } = await filled('a');
    const first = await link.take(queue);
    expect([first && bodyOf(first), first?.settled]).toEqual(['a', false]);
    expect(await link.take(queue)).toBeUndefined();
    first?.requeue({ failed: false });
    const consumed = await Consumed.start(link, queue);
    expect((await consumed.count(1)).at(0).redelivered).toBe(true);
  });

  itWithArguments('dead-letters what the broker gives up, when it is told where', async () => {
    const link = await open();
    const [queue, dead] = [name('queue'), name('dead')];
    await link.declareQueue(dead);
    await link.declareQueue(queue, { deadLetterQueue: dead, arguments: { 'x-message-ttl': 1 } });
    await publishAll(link, queue, ['a']);
    expect((await (await Consumed.start(link, dead)).count(1)).bodies).toEqual(['a']);
  });

  itUnless('priorities')('hands out messages by priority', async () => {
    const link = await open();
    const queue = name('queue');
    await link.declareQueue(queue, { maxPriority: 5 });
    for (const [body, priority] of [
      ['low', 1],
      ['high', 5],
      ['middle', 3],
    ] as const)
      await publish(link, toQueue(queue, body, { priority }));
    const consumed = await Consumed.start(link, queue);
    expect((await consumed.count(3)).bodies).toEqual(['high', 'middle', 'low']);
  });

  it('lets others stand by while one consumes', async () => {
    const link = await open();
    const queue = name('queue');
    await link.declareQueue(queue, { singleActiveConsumer: true });
    const active = await Consumed.start(link, queue);
    const standingBy = await Consumed.start(link, queue);
    await publishAll(link, queue, ['a', 'b']);
    for (const delivery of (await active.count(2)).deliveries) delivery.ack();
    active.subscription?.cancel();
    await publishAll(link, queue, ['c']);
    expect((await standingBy.count(1)).bodies).toEqual(['c']);
  });
}
