import { REQUESTS_EXCHANGE } from '../../envelope.js';
import { Consumed, Heard, message, publish, toQueue } from './contract-support.js';
import type { LinkContract } from './link-contract.js';

/** What becomes of messages that nobody has got by their `expiresAt`. */
export function expiringContract({ itUnless, expect, home, open, name }: LinkContract): void {
  itUnless('queueArguments')(
    'gives up what nobody has got in time; of requests no letter is kept',
    async () => {
      const link = await open();
      const [queue, dead] = [name('queue'), name('dead')];
      await link.declareExchange(REQUESTS_EXCHANGE);
      await link.declareQueue(dead);
      await link.declareQueue(queue, { deadLetterQueue: dead, arguments: { 'x-max-length': 1000 } });
      await link.bindQueue(queue, REQUESTS_EXCHANGE, queue);
      const request = message(REQUESTS_EXCHANGE, queue, 'request', { replyTo: 'caller' });
      await publish(link, request, { expiresAt: Date.now() + 50 });
      // At the head, one after the other.
      await publish(link, toQueue(queue, 'event'), { expiresAt: Date.now() + 51 });
      const letters = await Consumed.start(link, dead);
      expect((await letters.count(1)).bodies).toEqual(['event']);
      expect(await link.queueState(queue)).toMatchObject({ ready: 0 });
    },
  );

  itUnless('blocking')('does not send what has waited until its time was over', async () => {
    const heard = new Heard();
    const link = await open(heard.listener);
    const queue = name('queue');
    await link.declareQueue(queue);
    await home().block?.(true);
    const first = publish(link, toQueue(queue, 'first'));
    await heard.until('blocked');
    const late = publish(link, toQueue(queue, 'late'), { expiresAt: Date.now() });
    const last = publish(link, toQueue(queue, 'last'), { expiresAt: Date.now() + 60_000 });
    await home().block?.(false);
    expect((await late).error?.name).toBe('QueueUnavailableException');
    expect([(await first).error, (await last).error]).toEqual([undefined, undefined]);
    expect((await (await Consumed.start(link, queue)).count(2)).bodies).toEqual(['first', 'last']);
  });
}
