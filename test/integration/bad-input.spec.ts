import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { LIMITS } from '@nestmq/broker';
import { TestBroker } from '@nestmq/testing';
import {
  type Link,
  QueueClient,
  QueueContext,
  QueueModule,
  type QueueOptions,
  QueueServer,
} from '@nestmq/transport';
import { firstValueFrom, lastValueFrom, of } from 'rxjs';
import { Collector, startApp, temporaryDirectory } from './app.js';

describe('options that can not be meant', () => {
  it.each<[string, object]>([
    ["unknown option 'prefetch'. Options here are: url,", { url: 'memory:', prefetch: 1 }],
    ["'url' is missing. Give 'file:DIR'", {}],
    ["'url' is 'redis://localhost'", { url: 'redis://localhost' }],
    [
      "'prefetchCount' is 0 (number). Give a whole number from 1 to 65535.",
      { url: 'memory:', prefetchCount: 0 },
    ],
    ["'prefetchCount' is '5'.", { url: 'memory:', prefetchCount: '5' }],
    ["'queue' is ''.", { url: 'memory:', queue: '' }],
    ["'queue' is 'amq.x'.", { url: 'memory:', queue: 'amq.x' }],
    ["'gracePeriod' is -1 (number).", { url: 'memory:', gracePeriod: -1 }],
    ["retry has the unknown option 'atempts'.", { url: 'memory:', retry: { atempts: 3 } }],
    ["'retry.attempts' is 0 (number).", { url: 'memory:', retry: { attempts: 0 } }],
    ["'requestTimeout' is 'soon'.", { url: 'memory:', requestTimeout: 'soon' }],
    ["'requestTimeout' is -1 (number).", { url: 'memory:', requestTimeout: -1 }],
    ["'compression' is 'gzip'.", { url: 'memory:', compression: 'gzip' }],
    ["'codec' is 'msgpack'.", { url: 'memory:', codec: 'msgpack' }],
    ["'retry' is 5 (number).", { url: 'memory:', retry: 5 }],
  ])('are refused: %s', (message, options) => {
    expect(() => new QueueServer(options as QueueOptions)).toThrow(message);
    expect(() => new QueueClient(options as QueueOptions)).toThrow(message);
  });

  it("are refused in a handler's extras and in forFeature", async () => {
    @Controller()
    class Typo {
      @EventPattern('order.placed', { rety: { attempts: 3 } })
      handle(_data: unknown): void {
        // Never registered.
      }
    }
    await expect(startApp({ url: 'memory:typo' }, { controllers: [Typo] })).rejects.toThrow(
      "the handler of 'order.placed' has the unknown option 'rety'. Options here are: queue, retry, ",
    );
    expect(() => QueueModule.forFeature({ queue: 7 } as never)).toThrow(
      "In forFeature: 'queue' is 7 (number).",
    );
  });
});

describe('a directory that can not be used', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  it('is made when it is only missing', async () => {
    const { app, client } = await startApp({ url: `file:${directory.path}/a/b/c` }, {});
    await client.connect();
    await app.close();
    expect(existsSync(`${directory.path}/a/b/c/journal`)).toBe(true);
  });

  it('stops the start with an error that names cause and cure: a file in its place', async () => {
    writeFileSync(`${directory.path}/file`, 'x');
    await expect(startApp({ url: `file:${directory.path}/file` }, {})).rejects.toThrow(
      /The directory '.*\/file' can't be made: there is a file of that name \(EEXIST\)\. Give a directory/,
    );
    await expect(startApp({ url: `file:${directory.path}/file/mq` }, {})).rejects.toThrow(
      /a part of the path is a file \(ENOTDIR\)\. Give a directory/,
    );
  });

  it('stops the start with an error that names cause and cure: a place where nothing can be made', async () => {
    await expect(startApp({ url: 'file:/proc/nestmq' }, {})).rejects.toThrow(
      /The directory '\/proc\/nestmq' can't be made: .*\. Give a directory that this user may create, read and write\./,
    );
  });

  it('can be tried again after the cause is gone', async () => {
    const client = new QueueClient({ url: `file:${directory.path}/mq` });
    writeFileSync(`${directory.path}/mq`, 'x');
    await expect(client.connect()).rejects.toThrow('there is a file of that name');
    directory.remove();
    mkdirSync(directory.path);
    await client.connect();
    await client.close();
  });
});

describe('a message that can not be handled', () => {
  const handled = new Collector<unknown>();
  @Controller()
  class Orders {
    @EventPattern('order.*')
    handle(@Payload() data: unknown): void {
      handled.add(data);
    }
  }

  it('is dead-lettered, not lost, and its handler is not called: a body that is not JSON', async () => {
    const broker = await TestBroker.start();
    const { app, server } = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
    const link = server.unwrap<Link>();
    const body = Buffer.from([0xff, 0x00, 0x7b]);
    link.publish(
      {
        exchange: 'nestmq.events',
        routingKey: 'order.placed',
        properties: { deliveryMode: 2, headers: { mine: 1 } },
        body,
      },
      () => {},
    );
    const [letter] = await broker.take('orders.dead', 1);
    expect(letter?.message.body).toEqual(body);
    expect(letter?.message.properties.headers).toMatchObject({
      mine: 1,
      'x-nestmq-reason': 'unreadable',
      'x-nestmq-error-name': 'UnreadableBodyException',
      'x-nestmq-queue': 'orders',
      'x-nestmq-exchange': 'nestmq.events',
      'x-nestmq-routing-key': 'order.placed',
    });
    expect(handled.items).toEqual([]);
    await app.close();
    await broker.stop();
  });

  it('is dead-lettered: an event whose handler is no more', async () => {
    const broker = await TestBroker.start();
    const before = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
    await before.app.close();
    @Controller()
    class Other {
      @EventPattern('other')
      handle(_data: unknown): void {
        // Keeps the service's queue consumed.
      }
    }
    const after = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Other] });
    await lastValueFrom(after.client.emit('order.placed', { id: 1 }), { defaultValue: undefined });
    const [letter] = await broker.take('orders.dead', 1);
    expect(letter?.data).toEqual({ id: 1 });
    expect(letter?.message.properties.headers).toMatchObject({ 'x-nestmq-reason': 'no-handler' });
    await after.app.close();
    await broker.stop();
  });

  it('is refused when it is over the limit, or JSON can not hold it', async () => {
    const broker = await TestBroker.start();
    const { app, client } = await startApp({ url: broker.url }, { controllers: [Orders] });
    const emit = (data: unknown): Promise<unknown> =>
      lastValueFrom(client.emit('order.placed', data), { defaultValue: undefined });
    await expect(emit('x'.repeat(LIMITS.bodyBytesMax))).rejects.toThrow(
      'A body of 134217730 bytes is over the limit of 134217728. Put the data elsewhere and send a reference to it.',
    );
    await expect(emit(1n)).rejects.toThrow('BigInt');
    await expect(lastValueFrom(client.emit('o'.repeat(256), 1), { defaultValue: undefined })).rejects.toThrow(
      'has 256 bytes. Give one of at most 255 bytes as UTF-8.',
    );
    await app.close();
    await broker.stop();
  });
});

describe('a handler that throws', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const hostile = Object.create(null, {
    toJSON: {
      value: () => {
        throw new Error('no JSON');
      },
    },
  }) as object;

  it.each<[string, unknown, string]>([
    ['nothing', undefined, ''],
    ['null', null, 'null'],
    ['a string', 'plain', 'plain'],
    ['a cycle', cycle, '<ref *1>'],
    ['what can not be printed', hostile, '[Object: null prototype]'],
    ['an endless message', new Error('x'.repeat(100_000)), 'x'.repeat(2000)],
  ])('%s uses up its attempts and leaves a dead letter', async (_what, thrown, message) => {
    const broker = await TestBroker.start();
    let calls = 0;
    @Controller()
    class Orders {
      @EventPattern('order.placed', { retry: { attempts: 2 } })
      handle(_data: unknown): void {
        calls++;
        throw thrown;
      }
    }
    const { app, client } = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
    client.emit('order.placed', 1);
    const [letter] = await broker.take('orders.dead', 1);
    expect(calls).toBe(2);
    const text = letter?.message.properties.headers?.['x-nestmq-error-message'] ?? '';
    expect(text).toContain(message.slice(0, 24));
    expect(text).toHaveProperty('length', expect.any(Number));
    expect((text as string).length).toBeLessThanOrEqual(2000);
    await app.close();
    await broker.stop();
  });

  it.each<[string, unknown]>([
    ['a cycle', cycle],
    ['a BigInt', 1n],
    ['more than a message holds', 'x'.repeat(LIMITS.bodyBytesMax)],
  ])('or answers with %s does not leave its caller waiting', async (_what, answer) => {
    const broker = await TestBroker.start();
    @Controller()
    class Answers {
      @MessagePattern('get')
      get(_data: unknown): unknown {
        return of(answer);
      }
    }
    const { app, client } = await startApp({ url: broker.url, queue: 'answers' }, { controllers: [Answers] });
    await expect(firstValueFrom(client.send('get', 1))).rejects.toMatchObject({
      message: expect.stringContaining("The answer can't be sent"),
    });
    await app.close();
    expect(broker.messageCount('answers')).toBe(0);
    await broker.stop();
  });
});

describe('headers that look like ours', () => {
  it('mean nothing in what others publish', async () => {
    const broker = await TestBroker.start();
    const handled = new Collector<[string, number]>();
    @Controller()
    class Orders {
      @EventPattern<string>('order.*')
      handle(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
        handled.add([context.getPattern(), context.attempt]);
      }
    }
    const { app, server } = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
    const link = server.unwrap<Link>();
    const headers = { 'x-nestmq-routing-key': 5, 'x-nestmq-handlers': [], 'x-nestmq-attempts-before': 99 };
    const message = {
      exchange: 'nestmq.events',
      routingKey: 'order.placed',
      properties: { headers },
      body: Buffer.from('1'),
    };
    link.publish(message, () => {});
    link.publish(
      { ...message, properties: { headers: { ...headers, 'x-nestmq-routing-key': 'other' } } },
      () => {},
    );
    expect(await handled.until(2)).toEqual([
      ['order.placed', 1],
      ['order.placed', 1],
    ]);
    // Put into the queue directly they may be any nonsense, and nothing is lost.
    link.publish({ ...message, exchange: '', routingKey: 'orders' }, () => {});
    const [letter] = await broker.take('orders.dead', 1);
    expect(letter?.message.properties.headers).toMatchObject({ 'x-nestmq-reason': 'no-handler' });
    await app.close();
    await broker.stop();
  });
});
