import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { delayedExchangeOf } from '../envelope.js';
import { NoHandlerException, TopologyDriftException } from '../queue.exceptions.js';
import type { Link, LinkListener } from './link.js';
import { consumingContract } from './link-consuming.suite.js';
import { losingContract } from './link-losing.suite.js';
import {
  bodyOf,
  Consumed,
  type LinkFeatures,
  type LinkHome,
  message,
  publish,
  publishAll,
  SILENT,
  toQueue,
} from './link.suite.support.js';

/** What a part of the contract works with. */
export interface Contract {
  readonly features: LinkFeatures;
  /** Undefined where the broker is not there, after a line that said so: then a test has nothing to do. */
  readonly home: () => LinkHome | undefined;
  /** A new link, closed after the test; its listener does nothing unless it is given. */
  readonly open: (listener?: LinkListener) => Promise<Link>;
  /** A new link, with a new queue that has these messages. */
  readonly filled: (...bodies: string[]) => Promise<{ readonly link: Link; readonly queue: string }>;
  /** A name that no other test has. */
  readonly name: (what: string) => string;
}

let runs = 0;

/**
 * The contract of {@link Link}, sentence by sentence: for every way to a broker, and for those that others write.
 * `start` resolves with undefined where the broker is not there.
 */
export function linkContract(
  title: string,
  features: LinkFeatures,
  start: () => Promise<LinkHome | undefined>,
): void {
  describe(`the contract of a link: ${title}`, () => {
    let started: LinkHome | undefined;
    let names = 0;
    const links: Link[] = [];
    const run = `${process.pid}.${runs++}`;
    beforeAll(async () => {
      started = await start();
    }, 180_000);
    afterEach(async () => {
      for (const link of links.splice(0)) await link.close();
    });
    afterAll(() => started?.close());
    const contract: Contract = {
      features,
      home: () => started,
      async open(listener = SILENT) {
        if (started === undefined) throw new Error('There is no broker.');
        const link = await started.open(listener);
        links.push(link);
        return link;
      },
      async filled(...bodies) {
        const [link, queue] = [await contract.open(), contract.name('queue')];
        await link.declareQueue(queue);
        await publishAll(link, queue, bodies);
        return { link, queue };
      },
      name: (what) => `contract.${run}.${what}${names++}`,
    };
    topologyContract(contract);
    publishingContract(contract);
    consumingContract(contract);
    losingContract(contract);
  });
}

function topologyContract({ home, open, name, filled }: Contract): void {
  it('tells that it is connected, once it can be used', async () => {
    if (home() === undefined) return;
    let connected = 0;
    const link = await open({ ...SILENT, onConnected: () => connected++ });
    expect(connected).toBe(1);
    expect(link.blocked).toBeUndefined();
  });

  it('declares exchanges and queues again as it did before', async () => {
    if (home() === undefined) return;
    const link = await open();
    const [exchange, queue] = [name('exchange'), name('queue')];
    for (let i = 0; i < 2; i++) {
      await link.declareExchange(exchange);
      await link.declareQueue(queue);
    }
    expect(await link.queueState(queue)).toMatchObject({ name: queue, ready: 0 });
  });

  it('uses a queue that is there with other arguments, after it has told the difference', async () => {
    if (home() === undefined) return;
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
  });

  it('keeps a queue of its own to itself, and takes it along when it closes', async () => {
    if (home() === undefined) return;
    const [link, other] = [await open(), await open()];
    const queue = await link.declareOwnQueue();
    await publishAll(other, queue, ['a']);
    await expect(Consumed.start(other, queue)).rejects.toThrow('RESOURCE_LOCKED');
    expect((await (await Consumed.start(link, queue)).count(1)).bodies).toEqual(['a']);
    await link.close();
    expect(await publish(other, toQueue(queue, 'b'))).toMatchObject({ unroutable: true });
  });

  it('routes by bindings, until they are removed; one that is not there is no error', async () => {
    if (home() === undefined) return;
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
    if (home() === undefined) return;
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
    if (home() === undefined) return;
    const { link, queue } = await filled('a', 'b');
    expect(await link.purgeQueue(queue)).toBe(2);
    await publishAll(link, queue, ['c']);
    expect(await link.deleteQueue(queue)).toBe(1);
    expect(await link.deleteQueue(queue)).toBe(0);
    expect(await link.queueState(queue)).toBeUndefined();
  });

  it('peeks at the first messages of a queue, which stay in their places', async () => {
    if (home() === undefined) return;
    const { link, queue } = await filled('a', 'b', 'c');
    for (let i = 0; i < 2; i++)
      expect((await link.peek(queue, 2)).map(({ body }) => body.toString())).toEqual(['a', 'b']);
    expect(await link.peek(queue, 10)).toHaveLength(3);
    const consumed = await Consumed.start(link, queue);
    expect((await consumed.count(3)).bodies).toEqual(['a', 'b', 'c']);
  });

  it('takes one message, to be settled; none when none is ready', async () => {
    if (home() === undefined) return;
    const { link, queue } = await filled('a');
    const first = await link.take(queue);
    expect([first && bodyOf(first), first?.settled]).toEqual(['a', false]);
    expect(await link.take(queue)).toBeUndefined();
    first?.requeue({ failed: false });
    const consumed = await Consumed.start(link, queue);
    expect((await consumed.count(1)).at(0).redelivered).toBe(true);
  });

  it('dead-letters what the broker gives up, when it is told where', async () => {
    if (home() === undefined) return;
    const link = await open();
    const [queue, dead] = [name('queue'), name('dead')];
    await link.declareQueue(dead);
    await link.declareQueue(queue, { deadLetterQueue: dead, arguments: { 'x-message-ttl': 1 } });
    await publishAll(link, queue, ['a']);
    expect((await (await Consumed.start(link, dead)).count(1)).bodies).toEqual(['a']);
  });

  it('hands out messages by priority', async () => {
    if (home() === undefined) return;
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
    if (home() === undefined) return;
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

function publishingContract({ home, open, name, filled }: Contract): void {
  it('calls back once a message is durable, never before publish has returned', async () => {
    if (home() === undefined) return;
    const { link, queue } = await filled();
    expect(await publish(link, toQueue(queue, 'a'))).toEqual({
      error: undefined,
      unroutable: undefined,
      early: false,
    });
  });

  it('keeps the order of what is published', async () => {
    if (home() === undefined) return;
    const { link, queue } = await filled();
    const bodies = Array.from({ length: 500 }, (_, i) => String(i));
    await publishAll(link, queue, bodies);
    expect((await (await Consumed.start(link, queue, { prefetchCount: 0 })).count(500)).bodies).toEqual(
      bodies,
    );
  });

  it('says that a message went nowhere; if it was mandatory, by an error', async () => {
    if (home() === undefined) return;
    const link = await open();
    const exchange = name('exchange');
    await link.declareExchange(exchange);
    const nowhere = message(exchange, 'no.one', 'a');
    expect(await publish(link, nowhere)).toEqual({ error: undefined, unroutable: true, early: false });
    const { error, early } = await publish(link, nowhere, { mandatory: true });
    expect([error instanceof NoHandlerException, early]).toEqual([true, false]);
  });

  it('says which of many went nowhere', async () => {
    if (home() === undefined) return;
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

  it('says when a queue is full', async () => {
    if (home() === undefined) return;
    const link = await open();
    const queue = name('queue');
    await link.declareQueue(queue, { arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' } });
    // A quorum queue notices late that it is full.
    let error: Error | undefined;
    while (error === undefined) ({ error } = await publish(link, toQueue(queue, 'a')));
    expect(error).toMatchObject({ code: 'REJECTED' });
  });

  it('carries properties and headers of all types unchanged', async () => {
    if (home() === undefined) return;
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
    if (home() === undefined) return;
    const { link, queue } = await filled();
    const large = 'x'.repeat(1_000_000);
    await publishAll(link, queue, ['', large]);
    expect((await (await Consumed.start(link, queue)).count(2)).bodies).toEqual(['', large]);
  });

  it.each(['', 'an exchange'])("delays what goes to '%s', or says how much is left", async (kind) => {
    if (home() === undefined) return;
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
