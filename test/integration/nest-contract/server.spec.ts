import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, type MessageHandler, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QUEUE_TRANSPORT, type QueueEvents, QueueServer, type QueueStatus } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { Collector, startApp, temporaryDirectory } from '../app.js';

const handler = (): MessageHandler => async () => undefined as never;
const listening = (server: QueueServer): Promise<void> =>
  new Promise((resolve, reject) => {
    server.listen((error) => (error === undefined ? resolve() : reject(error)));
  });

describe('the strategy', () => {
  let broker: TestBroker;
  let server: QueueServer;
  beforeEach(async () => {
    broker = await TestBroker.start();
    server = new QueueServer({ url: broker.url });
  });
  afterEach(async () => {
    await server.close();
    await broker.stop();
  });

  it('reports that it can not listen by its callback, once, and does not throw', async () => {
    const { path, remove } = temporaryDirectory();
    writeFileSync(`${path}/file`, 'in the way');
    const broken = new QueueServer({ url: `file:${path}/file` });
    const errors = new Collector<unknown>();
    expect(broken.listen((error) => errors.add(error))).toBeUndefined();
    const [error] = await errors.until(1);
    expect(String(error)).toContain('there is a file of that name (EEXIST)');
    await broken.close();
    expect(errors.items).toHaveLength(1);
    remove();
  });

  it('calls listeners that were there before it listened', async () => {
    const events: string[] = [];
    server.on('connect', () => events.push('connect'));
    const never: (keyof QueueEvents)[] = ['error', 'disconnect', 'blocked', 'unblocked'];
    for (const event of never) server.on(event, () => events.push(event));
    expect(events).toEqual([]);
    await listening(server);
    expect(events).toEqual(['connect']);
  });

  it('has a link to unwrap only between listening and closing', async () => {
    expect(() => server.unwrap()).toThrow('Not initialized');
    await listening(server);
    expect(server.unwrap()).toHaveProperty('publish');
    await server.close();
    expect(() => server.unwrap()).toThrow('Not initialized');
  });

  it('tells its status, the last one also to those who subscribe later', async () => {
    const all: QueueStatus[] = [];
    server.status.subscribe((status) => all.push(status));
    expect(all).toEqual([]);
    await listening(server);
    expect(await firstValueFrom(server.status)).toBe('connected');
    await server.close();
    expect(all).toEqual(['connected', 'draining', 'disconnected']);
  });

  it('can be closed before it has listened to the end, and closed again', async () => {
    const called = new Collector<unknown>();
    server.listen((error) => called.add(error));
    await Promise.all([server.close(), server.close()]);
    await called.until(1);
    await server.close();
    expect(() => server.unwrap()).toThrow('Not initialized');
  });

  it('has a transport of its own, which can be changed', () => {
    expect(server.transportId).toBe(QUEUE_TRANSPORT);
    const other = Symbol('other');
    server.setTransportId(other);
    expect(server.transportId).toBe(other);
  });

  it('finds the handler of a pattern: the exact one, then one by wildcards, else none', () => {
    const [exact, star, event] = [handler(), handler(), handler()];
    server.addHandler('order.*', star);
    server.addHandler('order.placed', exact);
    server.addHandler('audit.#', event, true);
    server.addHandler({ cmd: 'sum', a: 1 }, exact);
    expect(server.getHandlerByPattern('order.placed')).toBe(exact);
    expect(server.getHandlerByPattern('order.paid')).toBe(star);
    expect(server.getHandlerByPattern('audit.order.paid')).toBe(event);
    // Of any order of keys, and as JSON, as a client may write it.
    expect(server.getHandlerByPattern('{"a":1,"cmd":"sum"}')).toBe(exact);
    expect(server.getHandlerByPattern('{"cmd":"sum","a":1}')).toBe(exact);
    expect(server.getHandlerByPattern('nobody')).toBeNull();
    expect([...server.getHandlers().keys()]).toEqual([
      'order.*',
      'order.placed',
      'audit.#',
      '{"a":1,"cmd":"sum"}',
    ]);
  });

  it('survives patterns that are made up to break it', () => {
    let deep = '0';
    for (let i = 0; i < 10_000; i++) deep = `{"a":${deep}}`;
    for (const pattern of [deep, '{', 'x'.repeat(100_000), '{"a":"\\ud800"}', '[1', 'null', ''])
      expect(server.getHandlerByPattern(pattern)).toBeNull();
  });

  it('refuses patterns that are no routing key, when they are added', () => {
    const deep = { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } };
    const wide = Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`k${i}`, i]));
    for (const pattern of [deep, wide])
      expect(() => server.addHandler(pattern, handler())).toThrow('so Nest does not tell it from others');
    expect(() => server.addHandler('o'.repeat(256), handler())).toThrow('has 256 bytes');
    expect(() => server.addHandler(undefined, handler())).toThrow('Give a string, a number or an object.');
  });

  it('refuses two handlers of one request, and extras that it does not know', () => {
    server.addHandler('sum', handler());
    expect(() => server.addHandler('sum', handler())).toThrow("Two handlers answer 'sum'.");
    expect(() => server.addHandler('paid', handler(), true, { rety: 1 } as never)).toThrow(
      "the handler of 'paid' has the unknown option 'rety'.",
    );
  });
});

describe('handlers in an application', () => {
  it('are registered by their transport: none, or the one of the server', async () => {
    const broker = await TestBroker.start();
    @Controller()
    class Mixed {
      @EventPattern('any')
      any(_data: unknown): void {
        // Of whoever listens.
      }
      @EventPattern('ours', QUEUE_TRANSPORT, { retry: { attempts: 1 } })
      ours(_data: unknown): void {
        // Of a QueueServer.
      }
      @EventPattern('others', Transport.TCP)
      others(_data: unknown): void {
        // Of TCP alone.
      }
    }
    const { app, server } = await startApp({ url: broker.url }, { controllers: [Mixed] });
    expect([...server.getHandlers().keys()].toSorted()).toEqual(['any', 'ours']);
    await app.close();
    await broker.stop();
  });

  it('may have several patterns and objects as patterns, and extras of several decorators', async () => {
    const broker = await TestBroker.start();
    const seen = new Collector<unknown>();
    /** As a library would write one. */
    const Attempts =
      (attempts: number): MethodDecorator =>
      (_target, _key, descriptor) => {
        Reflect.defineMetadata(
          'microservices:pattern_extras',
          {
            ...Reflect.getMetadata('microservices:pattern_extras', descriptor.value as object),
            retry: { attempts },
          },
          descriptor.value as object,
        );
      };
    @Controller()
    class Orders {
      @EventPattern(['order.placed', 'order.paid', { kind: 'order', is: 'sent' }], { queue: 'orders' })
      @Attempts(1)
      below(@Payload() data: unknown): void {
        seen.add(data);
        throw new Error('no more');
      }
      @Attempts(1)
      @MessagePattern({ cmd: 'sum' })
      above(@Payload() data: number[]): number {
        return data.length;
      }
    }
    const { app, client, server } = await startApp({ url: broker.url }, { controllers: [Orders] });
    expect(server.getHandlers().get('order.paid')?.extras).toEqual({
      queue: 'orders',
      retry: { attempts: 1 },
    });
    expect(server.getHandlers().get('{"cmd":"sum"}')?.extras).toEqual({ retry: { attempts: 1 } });
    for (const pattern of ['order.placed', 'order.paid', { is: 'sent', kind: 'order' }])
      client.emit(pattern, pattern);
    expect((await broker.take('orders.dead', 3)).map(({ data }) => data)).toEqual(seen.items);
    expect(seen.items).toHaveLength(3);
    expect(await firstValueFrom(client.send({ cmd: 'sum' }, [1, 2]))).toBe(2);
    await app.close();
    await broker.stop();
  });
});
