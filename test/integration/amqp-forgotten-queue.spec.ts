import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, ManualClock, systemClock } from '@nestmq/broker';
import type { Link } from '@nestmq/transport';
import { Consumed, Heard, publishAll } from '../../packages/transport/src/links/contract/contract-support.js';
import { openLink } from '../../packages/transport/src/links/open-link.js';
import { normaliseQueueOptions } from '../../packages/transport/src/queue.options.js';
import { type ForgetfulProxy, startForgetfulProxy } from '../peers/forgetful-proxy.js';
import { FAST } from './link-homes.js';

const toClose: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
});

/** A link, with time that stands still, whose broker forgets to tell it; and what others do there. */
async function start(): Promise<{
  link: Link;
  other: Link;
  clock: ManualClock;
  heard: Heard;
  proxy: ForgetfulProxy;
}> {
  const server = await createServer({ port: 0 });
  toClose.push(() => server.close());
  const proxy = await startForgetfulProxy(server.port);
  toClose.push(() => proxy.close());
  const open = async (port: number, clock = systemClock, heard = new Heard()): Promise<Link> => {
    const options = normaliseQueueOptions({ url: `amqp://127.0.0.1:${port}`, amqp: FAST });
    const link = await openLink({ ...options, clock }, heard.listener);
    toClose.push(() => link.close());
    return link;
  };
  const [clock, heard] = [new ManualClock(), new Heard()];
  const link = await open(proxy.port, clock, heard);
  await link.declareQueue('q');
  return { link, other: await open(server.port), clock, heard, proxy };
}

describe('an AMQP link whose broker forgets to tell that a queue is gone', () => {
  it('tells its own consumers when it has deleted the queue itself', async () => {
    const { link } = await start();
    const [consumed, more] = [await Consumed.start(link, 'q'), await Consumed.start(link, 'q')];
    await link.declareQueue('another');
    const untouched = await Consumed.start(link, 'another');
    await link.deleteQueue('q');
    expect([consumed.cancelled, more.cancelled, untouched.cancelled]).toEqual([true, true, false]);
  });

  it('finds out within half a minute when another has deleted it', async () => {
    const { link, other, clock } = await start();
    const consumed = await Consumed.start(link, 'q');
    clock.advance(30_000);
    await link.flush();
    expect(consumed.cancelled).toBe(false);
    await other.deleteQueue('q');
    // The look before may still be under way: then there is no timer yet.
    while (clock.nextTimerAt === undefined) await link.queueState('q');
    clock.advance(30_000);
    await consumed.until(({ cancelled }) => cancelled);
  });

  it('can settle what it was handed before, and consume again when the queue is', async () => {
    const { link, heard, proxy } = await start();
    await publishAll(link, 'q', ['a']);
    const delivery = (await (await Consumed.start(link, 'q')).count(1)).at(0);
    await link.deleteQueue('q');
    delivery.ack();
    await link.declareQueue('q');
    const consumed = await Consumed.start(link, 'q');
    await publishAll(link, 'q', ['b']);
    expect((await consumed.count(1)).bodies).toEqual(['b']);
    expect([heard.calls, proxy.cancels]).toEqual([['connected'], 0]);
    consumed.subscription?.cancel();
    await link.flush();
    expect(proxy.cancels).toBe(1);
  });

  it('looks for no queue once nobody consumes', async () => {
    const { link, clock } = await start();
    const consumed = await Consumed.start(link, 'q');
    consumed.subscription?.cancel();
    await link.flush();
    clock.advance(30_000);
    await link.close();
    expect(clock.nextTimerAt).toBeUndefined();
  });
});
