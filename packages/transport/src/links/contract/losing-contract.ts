import { Consumed, Heard, publish, publishAll, settledState, toQueue } from './contract-support.js';
import type { LinkContract } from './link-contract.js';

/** What holds when a connection is lost, or the broker takes no publishes. */
export function losingContract({ itUnless, expect, home, open, name, filled }: LinkContract): void {
  const itWithConnection = itUnless('connection');
  const itWhenItBlocks = itUnless('blocking');

  itWithConnection(
    'comes back when its connection is lost, and so does what it declared and consumes',
    async () => {
      const heard = new Heard();
      const link = await open(heard.listener);
      const [exchange, queue] = [name('exchange'), name('queue')];
      await link.declareExchange(exchange);
      await link.declareQueue(queue);
      const own = await link.declareOwnQueue();
      await link.bindQueue(own, exchange, '#');
      const [consumed, ofOwn] = [await Consumed.start(link, queue), await Consumed.start(link, own)];
      home().cut?.();
      await heard.until('connected', 2);
      expect(heard.calls.filter((call) => !call.startsWith('error'))).toEqual([
        'connected',
        'disconnected',
        'connected',
      ]);
      await publishAll(link, queue, ['a']);
      expect((await consumed.count(1)).bodies).toEqual(['a']);
      await publish(link, { ...toQueue('any', 'b'), exchange });
      expect((await ofOwn.count(1)).bodies).toEqual(['b']);
    },
  );

  itWithConnection(
    'tells of deliveries that are lost with it: they are settled, and come again',
    async () => {
      const { link, queue } = await filled('a');
      const consumed = await Consumed.start(link, queue);
      const first = (await consumed.count(1)).at(0);
      home().cut?.();
      await consumed.until(({ lost }) => lost.length === 1);
      expect([consumed.lost[0] === first, first.settled]).toEqual([true, true]);
      first.ack();
      const again = (await consumed.count(2)).at(1);
      expect(again.redelivered).toBe(true);
      again.ack();
      expect(await settledState(link, queue)).toBe(0);
    },
  );

  itWithConnection('has published messages wait while it is away, in order, and loses none', async () => {
    const heard = new Heard();
    const link = await open(heard.listener);
    const queue = name('queue');
    await link.declareQueue(queue);
    const bodies = Array.from({ length: 300 }, (_, i) => String(i));
    const unconfirmed = publishAll(link, queue, bodies.slice(0, 100));
    home().cut?.();
    const away = publishAll(link, queue, bodies.slice(100, 200));
    await heard.until('disconnected');
    expect(link.blocked).toEqual(expect.any(String));
    const later = publishAll(link, queue, bodies.slice(200));
    await Promise.all([unconfirmed, away, later]);
    expect(link.blocked).toBeUndefined();
    const consumed = await Consumed.start(link, queue, { prefetchCount: 0 });
    await consumed.until(({ bodies: got }) => got.at(-1) === '299');
    // Those that the broker had without having confirmed them come twice.
    const first = consumed.bodies.filter((body, at) => consumed.bodies.indexOf(body) === at);
    expect(first).toEqual(bodies);
  });

  itWithConnection(
    'has another address for answers after that, and tells that those asked for before do not come',
    async () => {
      const heard = new Heard();
      const link = await open(heard.listener);
      const lost: Error[] = [];
      let onReply: () => void = () => {};
      const replied = new Promise<void>((resolve) => {
        onReply = resolve;
      });
      const replies = await link.consumeReplies({
        onReply: () => onReply(),
        onLost: (error) => lost.push(error),
      });
      const before = replies.address;
      home().cut?.();
      await heard.until('connected', 2);
      expect(lost).toHaveLength(1);
      expect(replies.address).not.toBe(before);
      await publish(link, toQueue(replies.address, 'answer'));
      await replied;
    },
  );

  itWithConnection(
    'settles by forwarding only once, or has the delivery come again, when the connection is lost meanwhile',
    async () => {
      const link = await open();
      const [queue, other] = [name('queue'), name('other')];
      await link.declareQueue(queue);
      await link.declareQueue(other);
      await publishAll(link, queue, ['a']);
      const consumed = await Consumed.start(link, queue);
      const delivery = (await consumed.count(1)).at(0);
      const forwarding = link.forward(delivery, [{ exchange: '', routingKey: other, properties: {} }]);
      home().cut?.();
      await expect(forwarding).rejects.toThrow('comes again');
      expect((await consumed.count(2)).at(1).redelivered).toBe(true);
    },
  );

  itWhenItBlocks('waits with publishing while the broker takes nothing, and says so', async () => {
    const heard = new Heard();
    const link = await open(heard.listener);
    const queue = name('queue');
    await link.declareQueue(queue);
    await publishAll(link, queue, ['a']);
    const consumed = await Consumed.start(link, queue);
    await consumed.count(1);
    await home().block?.(true);
    let confirmed = 0;
    const publishing = ['b', 'c'].map(async (body) => {
      await publish(link, toQueue(queue, body));
      confirmed++;
    });
    await heard.until('blocked');
    expect([link.blocked, confirmed]).toEqual([expect.any(String), 0]);
    // What was delivered can be settled meanwhile.
    consumed.at(0).ack();
    await home().block?.(false);
    await Promise.all(publishing);
    expect((await consumed.count(3)).bodies).toEqual(['a', 'b', 'c']);
    await heard.until('unblocked');
    expect(link.blocked).toBeUndefined();
  });
}
