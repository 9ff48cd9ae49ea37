import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  Body,
  Controller,
  Get,
  HttpCode,
  type INestApplication,
  Module,
  Post,
  Query,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { QueueClient, QueueContext, QueueModule, QueueRecordBuilder, QueueServer } from '@nestmq/transport';
import { firstValueFrom, from, lastValueFrom, Observable, of, scan, take, type Subscriber } from 'rxjs';
import { Collector } from '../app.js';
import { HOMES, type Home } from '../homes.js';

/**
 * What Nest's own integration tests check of its RMQ transport, on ours: see docs/nest-contract.md for which is which.
 */

const notified = new Collector<unknown>();

@Controller()
class Numbers {
  constructor(private readonly client: QueueClient) {}

  @Post()
  @HttpCode(200)
  call(@Query('command') cmd: string, @Body() data: number[]): Observable<number> {
    return this.client.send<number>({ cmd }, data);
  }
  @Post('stream')
  @HttpCode(200)
  stream(@Body() data: number[]): Observable<number> {
    return this.client.send<number>({ cmd: 'streaming' }, data).pipe(scan((a, b) => a + b));
  }
  @Post('concurrent')
  @HttpCode(200)
  async concurrent(@Body() rows: number[][]): Promise<boolean> {
    const sums = await Promise.all(
      rows.map((row) => lastValueFrom(this.client.send<number>({ cmd: 'sum' }, row))),
    );
    return rows.every((row, i) => row.reduce((a, b) => a + b) === sums[i]);
  }
  @Post('notify')
  notify(): Observable<unknown> {
    return this.client.emit('notification', true);
  }
  @Get('topic')
  topic(): Promise<string> {
    return lastValueFrom(this.client.send<string>('wildcard.a.b', 1));
  }

  @MessagePattern({ cmd: 'sum' })
  sum(@Payload() data: number[]): number {
    return data.reduce((a, b) => a + b);
  }
  @MessagePattern({ cmd: 'asyncSum' })
  async asyncSum(@Payload() data: number[]): Promise<number> {
    return this.sum(data);
  }
  @MessagePattern({ cmd: 'streamSum' })
  streamSum(@Payload() data: number[]): Observable<number> {
    return of(this.sum(data));
  }
  @MessagePattern({ cmd: 'streaming' })
  streaming(@Payload() data: number[]): Observable<number> {
    return from(data);
  }
  @EventPattern('notification')
  notification(@Payload() data: unknown): void {
    notified.add(data);
  }
  @MessagePattern('record')
  record(@Payload() data: unknown, @Ctx() context: QueueContext): unknown {
    const { headers, priority } = context.getMessage().properties;
    return { data, headers, priority };
  }
  @MessagePattern('wildcard.*.*')
  wildcard(@Payload() _data: unknown, @Ctx() context: QueueContext): string {
    return context.getPattern();
  }
}

async function hybrid(url: string, queue: string, ...controllers: Type[]): Promise<INestApplication> {
  @Module({})
  class Root {}
  const app = await NestFactory.create(
    { module: Root, imports: [QueueModule.forRoot({ url, queue })], controllers },
    { logger: false },
  );
  app.connectMicroservice({ strategy: app.get(QueueServer) });
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  return app;
}

describe.each(HOMES)('requests and events on %s', (_scheme, makeHome) => {
  let home: Home;
  let app: INestApplication;
  beforeEach(async () => {
    home = await makeHome();
    app = await hybrid(home.url, 'numbers', Numbers);
  });
  afterEach(async () => {
    await app.close();
    await home.remove();
  });

  async function post(path: string, body: unknown): Promise<string> {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${await app.getUrl()}${path}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return response.text();
  }

  it.each(['sum', 'asyncSum', 'streamSum'])(
    'a handler answers with a value, a promise, a stream: %s',
    async (cmd) => {
      expect(await post(`/?command=${cmd}`, [1, 2, 3, 4, 5])).toBe('15');
    },
  );

  it('many requests at once each get their own answer', async () => {
    const rows = Array.from({ length: 10 }, (_, i) => Array.from({ length: 10 }, (__, k) => k + 10 * i + 1));
    expect(await post('/concurrent', rows)).toBe('true');
  });

  it('a stream of answers reaches its caller', async () => {
    expect(await post('/stream', [1, 2, 3, 4, 5])).toBe('15');
  });

  it('an event reaches its handler', async () => {
    notified.items.length = 0;
    await post('/notify', {});
    expect(await notified.until(1)).toEqual([true]);
  });

  it('a wildcard handler is told the pattern that was sent', async () => {
    const response = await fetch(`${await app.getUrl()}/topic`);
    expect(await response.text()).toBe('wildcard.a.b');
  });

  it('a record carries headers and a priority beside the data, both ways', async () => {
    const record = new QueueRecordBuilder({ a: 1 })
      .setOptions({ headers: { 'x-version': '1.0.0' }, priority: 3 })
      .build();
    expect(await firstValueFrom(app.get(QueueClient).send('record', record))).toEqual({
      data: { a: 1 },
      headers: expect.objectContaining({ 'x-version': '1.0.0' }),
      priority: 3,
    });
  });

  it('a service that only sends reaches one that only handles', async () => {
    @Controller()
    class Consumer {
      @MessagePattern('ping')
      ping(@Payload() _data: unknown, @Ctx() context: QueueContext): string {
        return `${context.getPattern()}/pong`;
      }
    }
    const consumer = await hybrid(home.url, 'consumer', Consumer);
    const producer = await hybrid(home.url, 'producer');
    expect(await firstValueFrom(producer.get(QueueClient).send('ping', 1))).toBe('ping/pong');
    await producer.close();
    await consumer.close();
  });

  it('a request of which two services answer gets the answers of both', async () => {
    const open: Subscriber<number>[] = [];
    @Controller()
    class Subscriber_ {
      @MessagePattern({ cmd: 'broadcast' })
      broadcast(): Observable<number> {
        return new Observable((subscriber) => {
          open.push(subscriber);
          subscriber.next(1);
        });
      }
    }
    const services = [await hybrid(home.url, 'one', Subscriber_), await hybrid(home.url, 'two', Subscriber_)];
    const sum = app
      .get(QueueClient)
      .send<number>({ cmd: 'broadcast' }, {})
      .pipe(
        scan((a, b) => a + b),
        take(2),
      );
    expect(await lastValueFrom(sum)).toBe(2);
    for (const subscriber of open) subscriber.complete();
    for (const service of services) await service.close();
  });
});
