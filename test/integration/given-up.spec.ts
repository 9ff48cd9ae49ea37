import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Link } from '@nestmq/transport';
import type { LinkHome } from '@nestmq/transport/link-contract';
import {
  Consumed,
  message,
  publish,
  SILENT,
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
  let queue: string;
  let dead: string;
  beforeAll(async () => {
    home = await start();
  }, 60_000);
  afterAll(async () => home?.close());
  beforeEach(async () => {
    if (home === undefined) return;
    link = await home.open(SILENT);
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
});
