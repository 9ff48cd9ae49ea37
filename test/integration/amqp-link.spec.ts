import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type Clock, createServer, ManualClock, type Server, systemClock } from '@nestmq/broker';
import { type AmqpOptions, type Link, QueueUnavailableException } from '@nestmq/transport';
import {
  Consumed,
  Heard,
  message,
  publish,
  publishAll,
  SILENT,
  toQueue,
} from '../../packages/transport/src/links/contract/contract-support.js';
import { openLink } from '../../packages/transport/src/links/open-link.js';
import { normaliseQueueOptions } from '../../packages/transport/src/queue.options.js';
import { Certificates } from '../amqp/certificates.js';
import { addUser } from '../amqp/server.js';
import { startProxy, type TcpProxy } from '../peers/tcp-proxy.js';
import { temporaryDirectory } from './app.js';
import { FAST } from './link-homes.js';

const toClose: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
});

async function startServer(options: Parameters<typeof createServer>[0] = {}): Promise<Server> {
  const server = await createServer({ port: 0, ...options });
  toClose.push(() => server.close());
  return server;
}

async function proxyTo(server: Pick<Server, 'port'>): Promise<TcpProxy> {
  const proxy = await startProxy(server.port);
  toClose.push(() => proxy.close());
  return proxy;
}

interface Opening {
  readonly urls: readonly string[];
  readonly amqp?: AmqpOptions;
  readonly clock?: Clock;
  readonly heard?: Heard;
}

async function open({ urls, amqp, clock = systemClock, heard }: Opening): Promise<Link> {
  const options = normaliseQueueOptions({ urls, amqp: { ...FAST, ...amqp } });
  const link = await openLink({ ...options, clock }, heard?.listener ?? SILENT);
  toClose.push(() => link.close());
  return link;
}

const urlOf = ({ port }: { readonly port: number }, login = ''): string => `amqp://${login}127.0.0.1:${port}`;

describe('opening an AMQP link', () => {
  it.each([
    ['a wrong password', 'guest:secret@', '', 'ACCESS_REFUSED'],
    ['an unknown vhost', '', '/nope', 'Expected ConnectionOpenOk'],
  ])('fails at once for %s, without its password in the words', async (_what, login, vhost, words) => {
    const server = await startServer();
    const opening = open({ urls: [urlOf(server, login) + vhost] });
    const error = await opening.catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(QueueUnavailableException);
    expect(String(error)).toContain('The broker refuses the login, or its vhost');
    expect(String(error)).toContain(words);
    expect(String(error)).not.toContain('secret');
  });

  it('waits for a broker that is away', async () => {
    const server = await startServer();
    const proxy = await proxyTo(server);
    proxy.refuse(true);
    const opening = open({ urls: [urlOf(proxy)] });
    await proxy.refused(2);
    proxy.refuse(false);
    expect((await opening).blocked).toBeUndefined();
  });

  it('fails in the end for one that stays away', async () => {
    const server = await startServer();
    const proxy = await proxyTo(server);
    proxy.refuse(true);
    const opening = open({ urls: [urlOf(proxy)], amqp: { connectionTimeout: 0 } });
    await expect(opening).rejects.toThrow(`No broker could be reached at amqp://127.0.0.1:${proxy.port}/`);
  });

  it('takes the next host when one is down', async () => {
    const server = await startServer();
    const down = await proxyTo(server);
    down.refuse(true);
    const link = await open({ urls: [urlOf(down), urlOf(server)] });
    await link.declareQueue('q');
    expect(server.broker.connect().hasQueue('q')).toBe(true);
  });

  it('verifies who it talks to over TLS', async () => {
    const certificates = new Certificates();
    toClose.push(() => certificates.remove());
    certificates.make('ca', '/CN=root');
    certificates.make('server', '/CN=localhost', 'ca');
    const files = { certFile: certificates.path('server.pem'), keyFile: certificates.path('server.key') };
    const { tlsPort } = await startServer({ tls: { ...files, port: 0 } });
    const urls = [`amqps://localhost:${tlsPort}`];
    const link = await open({ urls, amqp: { tls: { ca: [readFileSync(certificates.path('ca.pem'))] } } });
    await link.declareQueue('q');
    await publishAll(link, 'q', ['a']);
    const trusting = open({ urls, amqp: { connectionTimeout: 0 } });
    await expect(trusting).rejects.toThrow(/certificate/);
  });

  it('says what it may not do, and goes on', async () => {
    const server = await startServer();
    addUser(server, 'someone');
    server.broker.registry.setPermission('someone', '/', {
      configure: '^(nestmq\\.|mine$)',
      write: '.*',
      read: '.*',
    });
    const link = await open({ urls: [urlOf(server, 'someone:someone@')] });
    await expect(link.declareQueue('other')).rejects.toThrow('ACCESS_REFUSED');
    await link.declareQueue('mine');
    await publishAll(link, 'mine', ['a']);
    expect(await link.queueState('mine')).toMatchObject({ ready: 1 });
  });
});

describe('an AMQP link whose broker restarts', () => {
  it('goes on where it was, with what was published meanwhile', async () => {
    const { path, remove } = temporaryDirectory();
    toClose.push(remove);
    const first = await createServer({ port: 0, directory: path });
    const { port } = first;
    const heard = new Heard();
    const link = await open({ urls: [urlOf(first)], heard });
    await link.declareQueue('q');
    const consumed = await Consumed.start(link, 'q');
    await publishAll(link, 'q', ['before']);
    (await consumed.count(1)).at(0).ack();
    await link.flush();
    await first.close();
    await heard.until('disconnected');
    const meanwhile = publishAll(link, 'q', ['meanwhile']);
    await startServer({ port, directory: path });
    await meanwhile;
    expect((await consumed.count(2)).bodies).toEqual(['before', 'meanwhile']);
  });
});

describe('publishing over an AMQP link', () => {
  it('goes on when it is the other connection that is lost', async () => {
    const proxy = await proxyTo(await startServer());
    const link = await open({ urls: [urlOf(proxy)] });
    await link.declareQueue('q');
    const bodies = Array.from({ length: 200 }, (_, i) => String(i));
    const published = publishAll(link, 'q', bodies);
    proxy.cutLast();
    await published;
    const consumed = await Consumed.start(link, 'q', { prefetchCount: 0 });
    await consumed.until(({ bodies: got }) => got.at(-1) === '199');
    expect([...new Set(consumed.bodies)]).toEqual(bodies);
  });

  /** A link whose broker has gone away, with time that stands still. */
  async function away(amqp: AmqpOptions): Promise<{ link: Link; clock: ManualClock }> {
    const server = await startServer();
    const proxy = await proxyTo(server);
    const [clock, heard] = [new ManualClock(), new Heard()];
    const link = await open({ urls: [urlOf(proxy)], amqp, clock, heard });
    await link.declareQueue('q');
    proxy.refuse(true);
    await heard.until('disconnected');
    return { link, clock };
  }

  it('fails, as everything else does, when the broker stays away for longer than it may wait', async () => {
    const { link, clock } = await away({ publishTimeout: 5000 });
    const published = publish(link, toQueue('q', 'a'));
    const stateRead = link.queueState('q').catch((error: unknown) => error);
    clock.advance(4999);
    const late = publish(link, toQueue('q', 'b'));
    clock.advance(1);
    expect((await published).error).toBeInstanceOf(QueueUnavailableException);
    expect((await published).error?.message).toMatch(/could not be published within 5000 ms: .+/);
    expect(await stateRead).toBeInstanceOf(QueueUnavailableException);
    clock.advance(4999);
    expect((await late).error).toBeInstanceOf(QueueUnavailableException);
  });

  it('is refused at once when too many wait', async () => {
    const { link } = await away({ maxWaiting: 2 });
    const waiting = ['a', 'b'].map((body) => publish(link, toQueue('q', body)));
    expect(() => link.publish(toQueue('q', 'c'), () => {})).toThrow('2 publishes wait already');
    await link.close();
    for (const { error } of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'CLOSED' });
  });

  it('is refused at once when the broker confirms nothing, and memory would fill', async () => {
    const proxy = await proxyTo(await startServer());
    const link = await open({ urls: [urlOf(proxy)], amqp: { maxWaiting: 2 }, clock: new ManualClock() });
    await link.declareQueue('q');
    proxy.freeze();
    const errors: unknown[] = [];
    const one = toQueue('q', 'a');
    for (let i = 0; i < 50_002; i++) link.publish(one, (error) => errors.push(error));
    expect(() => link.publish(one, () => {})).toThrow(
      '2 publishes wait already: the broker confirms too slowly.',
    );
    const closed = link.close();
    expect(errors).toHaveLength(50_002);
    proxy.cut();
    await closed;
  });

  it('refuses a body that is too large before it is sent', async () => {
    const link = await open({ urls: [urlOf(await startServer())], amqp: { maxMessageSize: 3 } });
    await link.declareQueue('q');
    expect(() => link.publish(toQueue('q', 'abcd'), () => {})).toThrow(
      'A body of 4 bytes is over the limit of 3',
    );
    expect(() => link.publish(toQueue('q', 'abcd'), () => {}, { delayMs: 50 })).toThrow('over the limit');
    await publishAll(link, 'q', ['abc']);
  });

  it('fails for the one that the broker refuses, and for no other', async () => {
    const link = await open({ urls: [urlOf(await startServer())] });
    await link.declareQueue('q');
    const bodies = Array.from({ length: 20 }, (_, i) => String(i));
    const published = bodies.map((body, i) =>
      publish(link, i === 7 ? message('no exchange', 'q', body) : toQueue('q', body)),
    );
    const errors = (await Promise.all(published)).map(({ error }) => error?.message);
    expect(errors).toEqual(
      bodies.map((_, i) => (i === 7 ? "NOT_FOUND - no exchange 'no exchange' in vhost '/'" : undefined)),
    );
    const consumed = await (await Consumed.start(link, 'q')).until(({ bodies: got }) => got.includes('19'));
    expect([...new Set(consumed.bodies)]).toEqual(bodies.filter((_, i) => i !== 7));
  });

  it('fails for what can not be encoded, and for no other', async () => {
    const link = await open({ urls: [urlOf(await startServer())] });
    await link.declareQueue('q');
    const large = publish(link, toQueue('q', 'a', { headers: { large: 'x'.repeat(100_000) } }));
    const fine = publish(link, toQueue('q', 'b'));
    expect(await large).toMatchObject({ early: false, error: expect.any(RangeError) as unknown });
    expect((await fine).error).toBeUndefined();
  });
});

describe('a delivery limit of the broker', () => {
  it('does not come before the attempts of the transport, also for what is peeked at', async () => {
    const link = await open({ urls: [urlOf(await startServer())] });
    await link.declareQueue('q');
    await publishAll(link, 'q', ['a']);
    for (let i = 0; i < 25; i++) expect(await link.peek('q', 1)).toHaveLength(1);
  });
});

describe('services whose queues are of different types', () => {
  it.each([
    ['classic', 'quorum'],
    ['quorum', 'classic'],
  ] as const)('delay events on one broker, %s first', async (...types) => {
    const urls = [urlOf(await startServer())];
    for (const [at, queueType] of types.entries()) {
      const link = await open({ urls, amqp: { queueType } });
      await link.declareExchange('nestmq.events');
      await link.declareQueue(`service-${at}`);
      await link.bindQueue(`service-${at}`, 'nestmq.events', `event-${at}`);
      const delayed = message('nestmq.events', `event-${at}`, queueType);
      expect(await publish(link, delayed, { delayMs: 20 })).toMatchObject({ error: undefined });
      expect((await (await Consumed.start(link, `service-${at}`)).count(1)).bodies).toEqual([queueType]);
    }
  });
});
