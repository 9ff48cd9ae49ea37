import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Client,
  ClientProxy,
  ClientProxyFactory,
  ClientsModule,
  type ClientsModuleOptionsFactory,
  type CustomClientOptions,
  EventPattern,
  MessagePattern,
  Payload,
} from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { type Link, QueueClient } from '@nestmq/transport';
import { firstValueFrom, lastValueFrom, type Observable } from 'rxjs';
import { Collector, type StartedApp, startApp } from '../app.js';

const seen = new Collector<unknown>();

@Controller()
class Handlers {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    seen.add(['echo', data]);
    return data;
  }
  @EventPattern('event')
  event(@Payload() data: unknown): void {
    seen.add(['event', data]);
  }
}

describe("the contract of Nest's clients", () => {
  let broker: TestBroker;
  let started: StartedApp;
  beforeEach(async () => {
    seen.items.length = 0;
    broker = await TestBroker.start();
    started = await startApp({ url: broker.url, queue: 'handlers' }, { controllers: [Handlers] });
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });
  const options = (): CustomClientOptions => ({ customClass: QueueClient, options: { url: broker.url } });

  it('send is cold: each subscription asks anew, and none asks nobody', async () => {
    const answer = started.client.send('echo', 1);
    await started.client.connect();
    expect(seen.items).toEqual([]);
    expect(await firstValueFrom(answer)).toBe(1);
    expect(await firstValueFrom(answer)).toBe(1);
    expect(seen.items).toHaveLength(2);
  });

  it('emit is hot: it is sent once, whoever subscribes when', async () => {
    const connected = started.client;
    const before = connected.emit('event', 1);
    expect(await seen.until(1)).toEqual([['event', 1]]);
    await connected.connect();
    const after = connected.emit('event', 2);
    await Promise.all([lastValueFrom(after), lastValueFrom(after)]);
    expect(await lastValueFrom(after)).toBeUndefined();
    await lastValueFrom(before, { defaultValue: 'over' });
    await seen.until(2);
    await started.server.drain();
    expect(seen.items).toEqual([
      ['event', 1],
      ['event', 2],
    ]);
  });

  it.each<[string, unknown, unknown]>([
    ['no pattern', undefined, 1],
    ['a null pattern', null, 1],
    ['no data', 'echo', undefined],
    ['null as data', 'echo', null],
  ])('refuses %s with an InvalidMessageException', async (_what, pattern, data) => {
    const both: Observable<unknown>[] = [
      started.client.send(pattern, data),
      started.client.emit(pattern, data),
    ];
    for (const one of both)
      await expect(firstValueFrom(one)).rejects.toHaveProperty('constructor.name', 'InvalidMessageException');
  });

  it('refuses a pattern that is no routing key, whether or not it is connected', async () => {
    const deep = { a: { b: { c: { d: { e: { f: { g: 1 } } } } } } };
    const fresh = new QueueClient({ url: broker.url });
    await started.client.connect();
    for (const client of [started.client, fresh]) {
      for (const pattern of ['o'.repeat(256), deep]) {
        await expect(firstValueFrom(client.send(pattern, 1))).rejects.toThrow('The pattern');
        await expect(firstValueFrom(client.emit(pattern, 1))).rejects.toThrow('The pattern');
      }
    }
    await fresh.close();
  });

  it('connects lazily and once, and unwraps to its link only while it is', async () => {
    const client = new QueueClient({ url: broker.url });
    expect(() => client.unwrap()).toThrow('Not initialized');
    const [first, second] = await Promise.all([client.connect(), client.connect()]);
    expect(first).toBe(second);
    expect(client.unwrap<Link>()).toBe(first);
    await Promise.all([client.close(), client.close()]);
    expect(() => client.unwrap()).toThrow('Not initialized');
    expect(await firstValueFrom(client.send('echo', 'again'))).toBe('again');
    await client.close();
  });

  it('is made by ClientProxyFactory, ClientsModule.register and registerAsync, and @Client()', async () => {
    @Injectable()
    class Settings implements ClientsModuleOptionsFactory {
      createClientOptions(): CustomClientOptions {
        return options();
      }
    }
    @Module({ providers: [{ provide: 'URL', useValue: broker.url }], exports: ['URL'] })
    class UrlModule {}
    @Controller()
    class Holder {
      @Client(options())
      readonly property!: ClientProxy;
      constructor(
        @Inject('REGISTERED') readonly registered: ClientProxy,
        @Inject('FACTORY') readonly factory: ClientProxy,
        @Inject('CLASS') readonly byClass: ClientProxy,
      ) {}
    }
    @Module({
      imports: [
        ClientsModule.register([{ name: 'REGISTERED', ...options() }]),
        ClientsModule.registerAsync([
          {
            name: 'FACTORY',
            imports: [UrlModule],
            inject: ['URL'],
            useFactory: (url: string) => ({ customClass: QueueClient, options: { url } }),
          },
          { name: 'CLASS', useClass: Settings },
        ]),
      ],
      controllers: [Holder],
    })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    await app.init();
    const { property, registered, factory, byClass } = app.get(Holder);
    const clients = [property, registered, factory, byClass, ClientProxyFactory.create(options())];
    for (const [i, client] of clients.entries()) {
      expect(client).toBeInstanceOf(QueueClient);
      expect(await firstValueFrom(client.send('echo', i))).toBe(i);
    }
    // The application closes those that it has made.
    await app.close();
    for (const client of clients.slice(0, 4)) expect(() => client.unwrap()).toThrow('Not initialized');
    await clients[4]?.close();
  });
});
