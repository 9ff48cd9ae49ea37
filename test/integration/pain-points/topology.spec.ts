import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Module } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueContext, QueueModule, QueueServer, TopologyDriftException } from '@nestmq/transport';
import { connect } from 'amqplib';
import { lastValueFrom } from 'rxjs';
import { NestFactory } from '@nestjs/core';
import { Collector, type StartedApp, startApp } from '../app.js';
import { HOMES, type Home, take } from '../homes.js';

const calls = new Collector<string>();

describe.each(HOMES)('queues and patterns on %s', (_scheme, makeHome) => {
  let home: Home;
  let started: StartedApp[];
  beforeEach(async () => {
    calls.items.length = 0;
    started = [];
    home = await makeHome();
  });
  afterEach(async () => {
    for (const { app } of started) await app.close();
    await home.remove();
  });
  async function start(queue: string, controller: new () => object, more: object = {}): Promise<StartedApp> {
    const one = await startApp({ url: home.url, queue, ...more }, { controllers: [controller] });
    started.push(one);
    return one;
  }
  const emit = ({ client }: StartedApp, pattern: string, data: unknown): Promise<unknown> =>
    lastValueFrom(client.emit(pattern, data), { defaultValue: undefined });

  it("12. RabbitMQ Consumer with Multiple Queue's: a handler names a queue of its own", async () => {
    @Controller()
    class Orders {
      @EventPattern('order.placed')
      placed(_data: unknown): void {
        calls.add('placed');
      }
      @EventPattern('order.mailed', { queue: 'mails', concurrency: 1, retry: { attempts: 1 } })
      mailed(_data: unknown): void {
        calls.add('mailed');
        throw new Error('in its own queue');
      }
    }
    const one = await start('orders', Orders);
    await emit(one, 'order.placed', 1);
    await emit(one, 'order.mailed', 2);
    const [letter] = await take(one.server, 'mails.dead', 1);
    expect(letter?.headers).toMatchObject({ 'x-nestmq-queue': 'mails' });
    expect((await calls.until(2)).toSorted()).toEqual(['mailed', 'placed']);
  });

  it('13. One client for many services: an event reaches each that handles it, and one instance of each', async () => {
    const handler = (name: string): new () => object => {
      @Controller()
      class Handler {
        @EventPattern('order.placed')
        placed(_data: unknown): void {
          calls.add(name);
        }
      }
      return Handler;
    };
    const billing = await start('billing', handler('billing'));
    await start('billing', handler('billing'));
    await start('shipping', handler('shipping'));
    await emit(billing, 'order.placed', 1);
    await calls.until(2);
    for (const { server } of started) await server.drain();
    expect(calls.items.toSorted()).toEqual(['billing', 'shipping']);
  });

  it('14. routingKey is ignored: on a shared queue each message reaches the handlers of its pattern alone', async () => {
    @Controller()
    class Orders {
      @EventPattern<string>('order.placed')
      placed(@Payload() n: number, @Ctx() context: QueueContext): void {
        calls.add(`placed ${n} ${context.pattern}`);
      }
      @EventPattern<string>('order.paid')
      paid(@Payload() n: number, @Ctx() context: QueueContext): void {
        calls.add(`paid ${n} ${context.pattern}`);
      }
    }
    const one = await start('orders', Orders);
    for (const n of [1, 2]) for (const pattern of ['order.placed', 'order.paid']) await emit(one, pattern, n);
    expect((await calls.until(4)).toSorted()).toEqual([
      'paid 1 order.paid',
      'paid 2 order.paid',
      'placed 1 order.placed',
      'placed 2 order.placed',
    ]);
  });

  it('15. Wildcard bugs: * is one word and # any number of them, in any place', async () => {
    const patterns = ['a.*.c', 'a.#.c', '#.c', 'a.#', '*', '#.b.#'];
    @Controller()
    class Wild {
      @EventPattern<string[]>(patterns)
      any(@Payload() of: string): void {
        calls.add(of);
      }
    }
    const one = await start('wild', Wild);
    const expected: Record<string, number> = {
      'a.c': 3,
      'a.b.c': 5,
      'a.b.b.c': 4,
      a: 2,
      b: 2,
      'x.y': 0,
      'b.a': 1,
    };
    for (const pattern of Object.keys(expected)) await emit(one, pattern, pattern);
    const total = Object.values(expected).reduce((a, b) => a + b);
    await calls.until(total);
    await one.server.drain();
    const counts = Object.fromEntries(
      Object.keys(expected).map((key) => [key, calls.items.filter((item) => item === key).length]),
    );
    expect(counts).toEqual(expected);
  });

  it('16. Several handlers of one event: all run, and each fails on its own', async () => {
    @Controller()
    class Several {
      @EventPattern('order.placed', { retry: { attempts: 2, delay: 1 } })
      fails(_data: unknown): void {
        calls.add('fails');
        throw new Error('x');
      }
      @EventPattern('order.placed')
      works(_data: unknown): void {
        calls.add('works');
      }
      @EventPattern('order.#')
      worksToo(_data: unknown): void {
        calls.add('works too');
      }
    }
    const one = await start('orders', Several);
    await emit(one, 'order.placed', 1);
    await take(one.server, 'orders.dead', 1);
    expect(calls.items.toSorted()).toEqual(['fails', 'fails', 'works', 'works too']);
  });

  it('18. Changing queue options crashes the next start: it starts, tells the difference, and goes on', async () => {
    @Controller()
    class Orders {
      @EventPattern('order.placed')
      placed(_data: unknown): void {
        calls.add('placed');
      }
    }
    const before = await start('orders', Orders, { queueOptions: { arguments: { 'x-max-length': 100 } } });
    const drifts: TopologyDriftException[] = [];
    @Module({
      imports: [
        QueueModule.forRoot({
          url: home.url,
          queue: 'orders',
          queueOptions: { arguments: { 'x-max-length': 200 } },
        }),
      ],
      controllers: [Orders],
    })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    const server = app.get(QueueServer);
    server.on('error', (error) => drifts.push(error as TopologyDriftException));
    app.connectMicroservice({ strategy: server });
    await app.init();
    await app.startAllMicroservices();
    await before.app.close();
    started.length = 0;
    started.push({ app, server, client: before.client });
    expect(drifts.map(({ drift }) => drift)).toEqual([
      {
        kind: 'queue',
        name: 'orders',
        argument: 'x-max-length',
        expected: expect.stringContaining('200'),
        found: expect.stringContaining('100'),
      },
    ]);
    expect(drifts[0]?.message).toContain('To migrate,');
    await emit(before, 'order.placed', 1);
    await calls.until(1);
    await before.client.close();
  });
});

describe('what RabbitMQ 4.3 refuses', () => {
  it('19. transient queues: every queue of a service is durable', async () => {
    const broker = await TestBroker.start({ listen: true });
    @Controller()
    class Orders {
      @EventPattern('order.placed')
      placed(_data: unknown): void {
        // Its queues are what matters.
      }
    }
    const { app } = await startApp({ url: broker.amqpUrl, queue: 'orders' }, { controllers: [Orders] });
    for (const queue of ['orders', 'orders.dead']) {
      const connection = await connect(broker.amqpUrl);
      const channel = await connection.createChannel();
      channel.on('error', () => {});
      await expect(channel.assertQueue(queue, { durable: false })).rejects.toThrow(
        "inequivalent arg 'durable'",
      );
      await connection.close();
    }
    await app.close();
    await broker.stop();
  });
});
