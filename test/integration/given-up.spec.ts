import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Link } from '@nestmq/transport';
import type { LinkHome } from '@nestmq/transport/link-contract';
import {
  Consumed,
  Heard,
  message,
  publish,
  toQueue,
} from '../../packages/transport/src/links/contract/contract-support.js';
import { embeddedHome, rabbitMqHome, serverHome } from './link-homes.js';

const HOMES: readonly (readonly [string, () => Promise<LinkHome | undefined>])[] = [
  ['an embedded broker', () => embeddedHome(`memory:${randomUUID()}`, () => {})],
  ['our broker over TCP', serverHome],
  ['RabbitMQ', rabbitMqHome],
];

/** Something of a queue's own, so that each broker has to be told where what it gives up goes. */
const ARGUMENTS = { 'x-max-length': 1000 };

describe.each(HOMES)('what the broker gives up, on %s', (_, start) => {
  let home: LinkHome | undefined;
  let link: Link;
  let heard: Heard;
  let queue: string;
  let dead: string;
  beforeAll(async () => {
    home = await start();
  }, 60_000);
  afterAll(async () => home?.close());
  beforeEach(async () => {
    heard = new Heard();
    if (home === undefined) return;
    link = await home.open(heard.listener);
    queue = `q${randomUUID().slice(0, 8)}`;
    dead = `${queue}.dead`;
    await link.declareExchange('nestmq.requests');
  });
  afterEach(async () => {
    if (home !== undefined) await link.close();
  });

  const request = (body: string) => message('nestmq.requests', queue, body, { replyTo: 'caller' });
  const declare = async (args = {}): Promise<void> => {
    await link.declareQueue(queue, { deadLetterQueue: dead, arguments: { ...ARGUMENTS, ...args } });
    await link.bindQueue(queue, 'nestmq.requests', queue);
  };

  it('is kept, but for a request that nobody has got in time', async () => {
    if (home === undefined) return;
    await link.declareQueue(dead);
    await declare();
    await publish(link, request('request'), { expiresAt: Date.now() + 50 });
    // At the head, one after the other.
    await publish(link, toQueue(queue, 'event', { expiration: '51' }));
    const letters = await Consumed.start(link, dead);
    expect((await letters.count(1)).bodies).toEqual(['event']);
    expect(await link.queueState(queue)).toMatchObject({ ready: 0 });
  });

  it('is kept when it is a request that was given up for another reason', async () => {
    if (home === undefined) return;
    await link.declareQueue(dead);
    await declare({ 'x-queue-type': 'quorum', 'x-delivery-limit': 1 });
    await publish(link, request('poison'), { expiresAt: Date.now() + 60_000 });
    const [consumed, letters] = [await Consumed.start(link, queue), await Consumed.start(link, dead)];
    for (let place = 0; place < 2; place++)
      (await consumed.count(place + 1)).at(place).requeue({ failed: true });
    expect((await letters.count(1)).bodies).toEqual(['poison']);
  });

  it('is kept where it goes to a queue that was declared later', async () => {
    if (home === undefined) return;
    await declare();
    await link.declareQueue(dead);
    await publish(link, toQueue(queue, 'event', { expiration: '1' }));
    expect((await (await Consumed.start(link, dead)).count(1)).bodies).toEqual(['event']);
  });

  it('is not even sent to it when it has waited in the link until its time was over', async () => {
    if (home === undefined) return;
    await declare();
    await home.block?.(true);
    const first = publish(link, request('first'));
    await heard.until('blocked');
    const late = publish(link, request('late'), { expiresAt: Date.now() });
    const last = publish(link, request('last'), { expiresAt: Date.now() + 60_000 });
    await home.block?.(false);
    expect((await late).error?.message).toContain('nobody waited for it any more');
    expect([(await first).error, (await last).error]).toEqual([undefined, undefined]);
    const consumed = await (await Consumed.start(link, queue)).count(2);
    expect(consumed.bodies).toEqual(['first', 'last']);
  });
});
