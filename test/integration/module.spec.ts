import { describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxy, ClientsModule, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { TestBroker } from '@nestmq/testing';
import { QueueClient, QueueModule, QueueServer } from '@nestmq/transport';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, startApp } from './app.js';

describe('QueueModule', () => {
  it('takes its options from a factory with forRootAsync', async () => {
    const broker = await TestBroker.start();
    @Injectable()
    class Config {
      readonly url = broker.url;
    }
    @Module({ providers: [Config], exports: [Config] })
    class ConfigModule {}
    @Controller()
    class Echo {
      @MessagePattern('echo')
      echo(@Payload() data: unknown): unknown {
        return data;
      }
    }
    const testing = await Test.createTestingModule({
      imports: [
        QueueModule.forRootAsync({
          imports: [ConfigModule],
          inject: [Config],
          useFactory: (config: Config) => ({ url: config.url, queue: 'echo' }),
        }),
      ],
      controllers: [Echo],
    }).compile();
    const app = testing.createNestApplication({ logger: false });
    app.connectMicroservice({ strategy: app.get(QueueServer) });
    await app.startAllMicroservices();
    expect(await firstValueFrom(app.get(QueueClient).send('echo', [1]))).toEqual([1]);
    await app.close();
    await broker.stop();
  });

  it('gives the handlers of a module a queue with forFeature: services of one process settle on their own', async () => {
    const broker = await TestBroker.start();
    const seen = new Collector<string>();
    @Controller()
    class Billing {
      @EventPattern('order.placed', { retry: { attempts: 1 } })
      placed(_data: unknown): void {
        seen.add('billing');
        throw new Error('no money');
      }
    }
    @Module({ imports: [QueueModule.forFeature({ queue: 'billing' })], controllers: [Billing] })
    class BillingModule {}
    @Controller()
    class Shipping {
      @EventPattern('order.placed')
      placed(_data: unknown): void {
        seen.add('shipping');
      }
    }
    @Module({ imports: [QueueModule.forFeature({ queue: 'shipping' })], controllers: [Shipping] })
    class ShippingModule {}
    const { app, client } = await startApp({ url: broker.url }, { imports: [BillingModule, ShippingModule] });
    client.emit('order.placed', 1);
    expect((await seen.until(2)).toSorted()).toEqual(['billing', 'shipping']);
    expect((await broker.take('billing.dead', 1))[0]?.data).toBe(1);
    await app.close();
    expect(broker.messageCount('shipping.dead')).toBe(0);
    expect(broker.messageCount('shipping')).toBe(0);
    await broker.stop();
  });

  it('lets only the failed one of two handlers of an event see it again', async () => {
    const broker = await TestBroker.start();
    const seen = new Collector<string>();
    let failures = 2;
    @Controller()
    class Orders {
      @EventPattern('order.placed')
      good(_data: unknown): void {
        seen.add('good');
      }
      @EventPattern('order.*')
      bad(_data: unknown): void {
        seen.add('bad');
        if (failures-- > 0) throw new Error('not yet');
      }
    }
    const { app, client } = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
    client.emit('order.placed', 1);
    expect((await seen.until(4)).toSorted()).toEqual(['bad', 'bad', 'bad', 'good']);
    await app.close();
    expect(broker.messageCount('orders')).toBe(0);
    expect(broker.messageCount('orders.dead')).toBe(0);
    await broker.stop();
  });

  it("serves as customClass of Nest's ClientsModule, and a standalone microservice as strategy", async () => {
    const broker = await TestBroker.start();
    @Controller()
    class Echo {
      constructor(@Inject('CLIENT') private readonly client: ClientProxy) {}
      @MessagePattern('echo')
      echo(@Payload() data: unknown): unknown {
        return data;
      }
      @MessagePattern('relay')
      relay(@Payload() data: unknown): unknown {
        return this.client.send('echo', data);
      }
    }
    @Module({
      imports: [
        ClientsModule.register([{ name: 'CLIENT', customClass: QueueClient, options: { url: broker.url } }]),
      ],
      controllers: [Echo],
    })
    class AppModule {}
    const app = await NestFactory.createMicroservice(AppModule, {
      strategy: new QueueServer({ url: broker.url, queue: 'echo' }),
      logger: false,
    });
    await app.listen();
    const client = app.get<ClientProxy>('CLIENT');
    expect(await firstValueFrom(client.send('relay', { a: 1 }))).toEqual({ a: 1 });
    await app.close();
    await broker.stop();
  });
});

describe('two handlers of one event', () => {
  it('leave a dead letter for the one whose attempts are used up, while the other still tries', async () => {
    const broker = await TestBroker.start();
    const seen = new Collector<string>();
    @Controller()
    class Orders {
      @EventPattern('order.placed', { retry: { attempts: 1 } })
      once(_data: unknown): void {
        seen.add('once');
        throw new Error('never again');
      }
      @EventPattern('order.*', { retry: { attempts: 3 } })
      thrice(_data: unknown): void {
        seen.add('thrice');
        if (seen.items.filter((name) => name === 'thrice').length < 3) throw new Error('not yet');
      }
    }
    const { app, client } = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
    client.emit('order.placed', 1);
    const [letter] = await broker.take('orders.dead', 1);
    expect(letter?.message.properties.headers).toMatchObject({ 'x-nestmq-error-message': 'never again' });
    expect((await seen.until(4)).toSorted()).toEqual(['once', 'thrice', 'thrice', 'thrice']);
    await app.close();
    expect(broker.messageCount('orders')).toBe(0);
    expect(broker.messageCount('orders.dead')).toBe(0);
    await broker.stop();
  });
});

describe('a queue of handlers where dead letters of others go', () => {
  it('is declared as its handlers want it', async () => {
    const broker = await TestBroker.start();
    const server = new QueueServer({ url: broker.url, queue: 'orders' });
    const [errors, handle] = [new Collector<Error>(), async (): Promise<void> => {}];
    server.on('error', (error) => errors.add(error));
    server.addHandler('order.placed', handle, true, { deadLetter: 'rescue' });
    server.addHandler('order.rescued', handle, true, { queue: 'rescue', priority: 5 });
    await server.prepare();
    expect(errors.items).toEqual([]);
    const { queues } = server.service.handlers;
    expect([...queues].map(({ queue, deadLetterQueue }) => [queue, deadLetterQueue])).toEqual([
      ['orders', 'rescue'],
      ['rescue', 'rescue.dead'],
    ]);
    await server.close();
    await broker.stop();
  });
});

describe('what a module emits while the application is initialised', () => {
  it('is kept for the handlers, which get it after all modules are ready', async () => {
    const broker = await TestBroker.start();
    const seen = new Collector<string>();
    @Injectable()
    class Database implements OnModuleInit {
      ready = false;
      constructor(private readonly client: QueueClient) {}
      async onModuleInit(): Promise<void> {
        await lastValueFrom(this.client.emit('started', 1));
        this.ready = true;
      }
    }
    @Controller()
    class Handlers {
      constructor(private readonly database: Database) {}
      @EventPattern('started')
      started(_data: unknown): void {
        seen.add(`database ready: ${this.database.ready}`);
      }
    }
    const { app } = await startApp({ url: broker.url }, { controllers: [Handlers], providers: [Database] });
    expect(await seen.until(1)).toEqual(['database ready: true']);
    await app.close();
    await broker.stop();
  });
});
