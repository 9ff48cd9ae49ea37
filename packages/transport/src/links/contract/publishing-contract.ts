import { delayedExchangeOf } from '../../envelope.js';
import { NoHandlerException } from '../../queue.exceptions.js';
import { Consumed, message, publish, publishAll, toQueue } from './contract-support.js';
import type { LinkContract } from './link-contract.js';

/** What becomes of what is published. */
export function publishingContract({ it, itUnless, expect, open, name, filled }: LinkContract): void {
  it('calls back once a message is durable, never before publish has returned', async () => {
    const { link, queue } = await filled();
    expect(await publish(link, toQueue(queue, 'a'))).toEqual({
      error: undefined,
      unroutable: undefined,
      early: false,
    });
  });

  it('keeps the order of what is published', async () => {
    const { link, queue } = await filled();
    const bodies = Array.from({ length: 500 }, (_, i) => String(i));
    await publishAll(link, queue, bodies);
    expect((await (await Consumed.start(link, queue, { prefetchCount: 0 })).count(500)).bodies).toEqual(
      bodies,
    );
  });

  it('says that a message went nowhere; if it was mandatory, by an error', async () => {
    const link = await open();
    const exchange = name('exchange');
    await link.declareExchange(exchange);
    const nowhere = message(exchange, 'no.one', 'a');
    expect(await publish(link, nowhere)).toEqual({ error: undefined, unroutable: true, early: false });
    const { error, early } = await publish(link, nowhere, { mandatory: true });
    expect([error instanceof NoHandlerException, early]).toEqual([true, false]);
  });

  it('says which of many went nowhere', async () => {
    const link = await open();
    const [exchange, queue] = [name('exchange'), name('queue')];
    await link.declareExchange(exchange);
    await link.declareQueue(queue);
    await link.bindQueue(queue, exchange, 'even');
    const published = Array.from({ length: 100 }, (_, i) =>
      publish(link, message(exchange, i % 2 === 0 ? 'even' : 'odd', 'the same')),
    );
    const unroutable = (await Promise.all(published)).map((one) => one.unroutable === true);
    expect(unroutable).toEqual(unroutable.map((_, i) => i % 2 === 1));
  });

  itUnless('queueArguments')('says when a queue is full', async () => {
    const link = await open();
    const queue = name('queue');
    await link.declareQueue(queue, { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    // A quorum queue notices late that it is full.
    let error: Error | undefined;
    while (error === undefined) ({ error } = await publish(link, toQueue(queue, 'a')));
    expect(error).toMatchObject({ code: 'REJECTED' });
  });

  it('carries properties and headers of all types unchanged', async () => {
    const { link, queue } = await filled();
    const properties = {
      contentType: 'text/plain',
      contentEncoding: 'identity',
      correlationId: 'c',
      replyTo: 'r',
      messageId: 'm',
      timestamp: 1_700_000_000,
      type: 't',
      appId: 'a',
      headers: {
        text: 'ä',
        whole: 7,
        large: 2 ** 40,
        part: 0.5,
        flag: true,
        nothing: null,
        at: new Date(1_700_000_000_000),
        bytes: Buffer.from([0, 255]),
        list: [1, 'two', { three: 3 }],
      },
    };
    await publish(link, toQueue(queue, 'a', properties));
    const { message: got } = (await (await Consumed.start(link, queue)).count(1)).at(0);
    expect(got).toMatchObject({ exchange: '', routingKey: queue, properties });
    expect(got.body.toString()).toBe('a');
  });

  it('carries empty bodies, and such as do not fit one frame', async () => {
    const { link, queue } = await filled();
    const large = 'x'.repeat(1_000_000);
    await publishAll(link, queue, ['', large]);
    expect((await (await Consumed.start(link, queue)).count(2)).bodies).toEqual(['', large]);
  });

  for (const kind of ['', 'an exchange'])
    it(`delays what goes to '${kind}', or says how much is left`, async () => {
      const link = await open();
      const [exchange, queue] = [kind === '' ? '' : name('exchange'), name('queue')];
      if (kind !== '') await link.declareExchange(exchange);
      await link.declareQueue(queue);
      if (kind !== '') await link.bindQueue(queue, exchange, queue);
      const start = performance.now();
      const delayed = await publish(link, message(exchange, queue, 'later'), { delayMs: 130 });
      expect(delayed).toEqual({ error: undefined, unroutable: undefined, early: false });
      await publish(link, message(exchange, queue, 'now'));
      const consumed = await (await Consumed.start(link, queue)).count(2);
      expect(consumed.bodies).toEqual(['now', 'later']);
      const { message: got } = consumed.at(1);
      const left = Number(got.properties.headers?.['x-nestmq-due-at'] ?? Date.now()) - Date.now();
      // Clocks of brokers and of processes tick differently by a millisecond or two.
      expect(performance.now() - start + Math.max(0, left)).toBeGreaterThanOrEqual(127);
      expect([exchange, delayedExchangeOf(exchange)]).toContain(got.exchange);
      expect(got.routingKey).toBe(queue);
    });
}
