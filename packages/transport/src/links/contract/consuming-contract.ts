import type { Message } from '@nestmq/broker';
import { bodyOf, Consumed, publish, publishAll, settledState, toQueue } from './contract-support.js';
import type { LinkContract } from './link-contract.js';

/** What {@link ConsumeOptions.onCancel} allows where a broker may forget to tell. Milliseconds. */
const BROKER_FORGETS_MS = 30_000;

/** Deliveries, consumers, answers, and settling by forwarding. */
export function consumingContract({ it, itUnless, expect, open, name, filled }: LinkContract): void {
  const itWithExclusive = itUnless('exclusiveConsumers');

  it('settles a delivery by its ack, once; what comes later does nothing', async () => {
    const { link, queue } = await filled('a');
    const consumed = await Consumed.start(link, queue);
    const delivery = (await consumed.count(1)).at(0);
    expect([delivery.settled, delivery.redelivered]).toEqual([false, false]);
    delivery.ack();
    expect(delivery.settled).toBe(true);
    delivery.requeue({ failed: true });
    delivery.ack();
    expect(await settledState(link, queue)).toBe(0);
    await publishAll(link, queue, ['b']);
    expect((await consumed.count(2)).bodies).toEqual(['a', 'b']);
  });

  it('puts back to its place what is requeued, redelivered', async () => {
    const { link, queue } = await filled('a', 'b');
    const consumed = await Consumed.start(link, queue, { prefetchCount: 1 });
    (await consumed.count(1)).at(0).requeue({ failed: false });
    expect((await consumed.count(2)).at(1).redelivered).toBe(true);
    consumed.at(1).requeue({ failed: true });
    expect((await consumed.count(3)).bodies).toEqual(['a', 'a', 'a']);
  });

  itUnless('queueArguments')(
    "gives up what has failed more often than the queue's delivery limit",
    async () => {
      const link = await open();
      const [queue, dead] = [name('queue'), name('dead')];
      await link.declareQueue(dead);
      const limit = { 'x-queue-type': 'quorum', 'x-delivery-limit': 1 };
      await link.declareQueue(queue, { deadLetterQueue: dead, arguments: limit });
      await publishAll(link, queue, ['a']);
      const [consumed, letters] = [await Consumed.start(link, queue), await Consumed.start(link, dead)];
      for (let place = 0; place < 2; place++)
        (await consumed.count(place + 1)).at(place).requeue({ failed: true });
      expect((await letters.count(1)).bodies).toEqual(['a']);
      expect(consumed.bodies).toEqual(['a', 'a']);
    },
  );

  it('hands over no more than may be unsettled at once', async () => {
    const { link, queue } = await filled('a', 'b', 'c');
    const consumed = await Consumed.start(link, queue, { prefetchCount: 2 });
    await consumed.count(2);
    expect(await settledState(link, queue)).toBe(1);
    expect(consumed.bodies).toEqual(['a', 'b']);
    consumed.at(0).ack();
    expect((await consumed.count(3)).bodies).toEqual(['a', 'b', 'c']);
  });

  it('settles as it hands over, when that is asked', async () => {
    const { link, queue } = await filled('a');
    const consumed = await Consumed.start(link, queue, { noAck: true });
    expect((await consumed.count(1)).at(0).settled).toBe(true);
    await link.close();
    expect(await (await open()).queueState(queue)).toMatchObject({ ready: 0 });
  });

  itWithExclusive('refuses a second consumer beside an exclusive one, and goes on', async () => {
    const { link, queue } = await filled();
    await Consumed.start(link, queue, { exclusive: true });
    await expect(Consumed.start(link, queue)).rejects.toThrow(/exclusive/);
    expect(await publish(link, toQueue(queue, 'a'))).toMatchObject({ error: undefined });
  });

  it('refuses to consume from a queue that is not there, and goes on', async () => {
    const link = await open();
    const queue = name('queue');
    await expect(Consumed.start(link, queue)).rejects.toThrow(`no queue '${queue}'`);
    await link.declareQueue(queue);
    expect(await publish(link, toQueue(queue, 'a'))).toMatchObject({ error: undefined });
  });

  it('tells a consumer when its queue is deleted', async () => {
    const { link, queue } = await filled('a');
    const consumed = await Consumed.start(link, queue);
    (await consumed.count(1)).at(0).ack();
    await link.flush();
    await link.deleteQueue(queue);
    await consumed.until(({ cancelled }) => cancelled);
    expect(consumed.bodies).toEqual(['a']);
  });

  it(
    'tells a consumer when its queue is deleted by another, half a minute later at most',
    async () => {
      const [{ link, queue }, other] = [await filled('a'), await open()];
      const consumed = await Consumed.start(link, queue);
      (await consumed.count(1)).at(0).ack();
      await link.flush();
      await other.deleteQueue(queue);
      await consumed.until(({ cancelled }) => cancelled);
      await other.declareQueue(queue);
      await publishAll(other, queue, ['b']);
      expect(await settledState(other, queue)).toBe(1);
      expect(consumed.bodies).toEqual(['a']);
    },
    BROKER_FORGETS_MS,
  );

  it('hands over nothing after a cancel, which can be repeated; what was handed over is still settled', async () => {
    const { link, queue } = await filled('a');
    const consumed = await Consumed.start(link, queue);
    await consumed.count(1);
    consumed.subscription?.cancel();
    consumed.subscription?.cancel();
    await publishAll(link, queue, ['b']);
    const other = await Consumed.start(link, queue);
    expect((await other.count(1)).bodies).toEqual(['b']);
    consumed.at(0).ack();
    other.at(0).ack();
    expect(await settledState(link, queue)).toBe(0);
    await link.close();
    expect(await (await open()).queueState(queue)).toMatchObject({ ready: 0 });
    expect(consumed.bodies).toEqual(['a']);
  });

  it('gets answers at its address, until that is cancelled', async () => {
    const [link, other] = [await open(), await open()];
    let onReply: (message: Message) => void = () => {};
    const replied = new Promise<Message>((resolve) => {
      onReply = resolve;
    });
    const replies = await link.consumeReplies({ onReply: (reply) => onReply(reply), onLost: () => {} });
    const answer = toQueue(replies.address, 'answer', { correlationId: '7' });
    expect(await publish(other, answer, { settles: true })).toMatchObject({
      error: undefined,
      unroutable: undefined,
    });
    expect(await replied).toMatchObject({ properties: { correlationId: '7' } });
    replies.cancel();
    await link.close();
    expect(await publish(other, answer)).toMatchObject({ unroutable: true });
  });

  it('settles a delivery by forwarding its body', async () => {
    const link = await open();
    const [queue, other] = [name('queue'), name('other')];
    await link.declareQueue(queue);
    await link.declareQueue(other);
    await publishAll(link, queue, ['a']);
    const delivery = (await (await Consumed.start(link, queue)).count(1)).at(0);
    const properties = { deliveryMode: 2, headers: { reason: 'moved' } };
    await link.forward(delivery, [{ exchange: '', routingKey: other, properties }]);
    expect(delivery.settled).toBe(true);
    expect(await settledState(link, queue)).toBe(0);
    const [got] = await link.peek(other, 1);
    expect([got?.body.toString(), got?.properties.headers?.['reason']]).toEqual(['a', 'moved']);
  });

  it('settles a delivery by several messages, with bodies of their own', async () => {
    const link = await open();
    const [queue, other] = [name('queue'), name('other')];
    await link.declareQueue(queue);
    await link.declareQueue(other);
    await publishAll(link, queue, ['a']);
    const delivery = await link.take(queue);
    const to = { exchange: '', routingKey: other, properties: { deliveryMode: 2 } };
    await link.forward(delivery as NonNullable<typeof delivery>, [to, { ...to, body: Buffer.from('news') }]);
    expect((await link.peek(other, 5)).map(({ body }) => body.toString()).toSorted()).toEqual(['a', 'news']);
    expect(await settledState(link, queue)).toBe(0);
  });

  it('forwards with a delay to the queue itself', async () => {
    const { link, queue } = await filled('a');
    const consumed = await Consumed.start(link, queue);
    const properties = { deliveryMode: 2, headers: { again: 1 } };
    const again = { exchange: '', routingKey: queue, properties, delayMs: 60 };
    await link.forward((await consumed.count(1)).at(0), [again]);
    expect((await consumed.count(2)).bodies).toEqual(['a', 'a']);
    expect(consumed.at(1).message.properties.headers?.['again']).toBe(1);
  });

  for (const delayMs of [0, 60])
    it(`keeps a delivery that has nowhere to go, delayed by ${delayMs} ms`, async () => {
      const link = await open();
      const [queue, gone] = [name('queue'), name('gone')];
      await link.declareQueue(queue);
      await publishAll(link, queue, ['a']);
      const delivery = (await (await Consumed.start(link, queue)).count(1)).at(0);
      const forwarding = link.forward(delivery, [
        { exchange: '', routingKey: gone, properties: {}, delayMs },
      ]);
      await expect(forwarding).rejects.toThrow(`Nothing is bound to '' for '${gone}'`);
      expect(delivery.settled).toBe(false);
      delivery.ack();
      expect(await settledState(link, queue)).toBe(0);
    });

  it('gives back what is unsettled when it closes, which can be repeated', async () => {
    const { link, queue } = await filled('a', 'b');
    await (await Consumed.start(link, queue)).count(2);
    await Promise.all([link.close(), link.close()]);
    const consumed = await Consumed.start(await open(), queue);
    expect((await consumed.count(2)).deliveries.map((one) => [bodyOf(one), one.redelivered])).toEqual([
      ['a', true],
      ['b', true],
    ]);
  });
}
