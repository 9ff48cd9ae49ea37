import { existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Module,
  type NestInterceptor,
  ParseIntPipe,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { type Link, QueueClient, QueueContext, QueueHealthIndicator, QueueModule } from '@nestmq/transport';
import { EMPTY, lastValueFrom, type Observable } from 'rxjs';
import { Collector, startApp, temporaryDirectory } from '../app.js';
import { depth, HOMES, type Home } from '../homes.js';

const calls = new Collector<unknown>();

class OnlyPaid implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    calls.add('guard');
    return context.switchToRpc().getData<{ paid: boolean }>().paid;
  }
}
class Around implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    calls.add('interceptor');
    return next.handle();
  }
}
@Catch()
class Forgives implements ExceptionFilter {
  catch(): Observable<never> {
    calls.add('filter');
    return EMPTY;
  }
}

@Controller()
class Worker {
  @UseGuards(OnlyPaid)
  @UseInterceptors(Around)
  @UseFilters(Forgives)
  @EventPattern('work.enhanced')
  enhanced(@Payload('id', ParseIntPipe) id: number): void {
    calls.add(id);
    if (id === 0) throw new Error('forgiven');
  }
  @EventPattern<string>('work.traced')
  traced(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
    calls.add(context.getMetadata()['traceparent']);
  }
  @EventPattern('work')
  work(@Payload() n: number): void {
    calls.add(n);
  }
}

describe.each(HOMES)('an application on %s', (_scheme, makeHome) => {
  let home: Home;
  beforeEach(async () => {
    calls.items.length = 0;
    home = await makeHome();
  });
  afterEach(async () => home.remove());
  const emit = (client: QueueClient, pattern: string, data: unknown): Promise<unknown> =>
    lastValueFrom(client.emit(pattern, data), { defaultValue: undefined });

  it('8. Consumers still pulling new messages even after the Kill Signal: intake stops first, what runs ends', async () => {
    const began = new Collector<number>();
    let release!: () => void;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    @Controller()
    class Slow {
      @EventPattern('slow')
      async slow(@Payload() n: number): Promise<void> {
        began.add(n);
        await released;
        calls.add(n);
      }
    }
    const { app, client } = await startApp(
      { url: home.url, queue: 'slow', prefetchCount: 1 },
      { controllers: [Slow] },
    );
    const keeper = await startApp({ url: home.url, queue: 'keeper' }, {});
    for (const n of [1, 2, 3]) await emit(client, 'slow', n);
    await began.until(1);
    const closed = app.close();
    release();
    await closed;
    expect([began.items, calls.items]).toEqual([[1], [1]]);
    expect(await depth(keeper.server, 'slow')).toBe(2);
    await keeper.app.close();
  });

  it('22. Traces stop at the queue: what a dispatch hook injects comes out of the context, around each handler', async () => {
    const { app, client, server } = await startApp(
      { url: home.url, queue: 'work' },
      { controllers: [Worker] },
    );
    client.setOnDispatchHook((packet) => {
      packet.metadata = { traceparent: '00-1-2-01' };
    });
    const spans: unknown[] = [];
    server.setOnProcessingStartHook((_id, context, begin) => {
      spans.push((context as QueueContext).getMetadata()['traceparent']);
      void begin();
    });
    server.setOnProcessingEndHook(() => spans.push('end'));
    await emit(client, 'work.traced', 1);
    expect(await calls.until(1)).toEqual(['00-1-2-01']);
    await app.close();
    expect(spans).toEqual(['00-1-2-01', 'end']);
  });

  it('23. RabbitMQ health check leaks a queue with each ping: it declares nothing, and says the truth', async () => {
    const { app, client, server } = await startApp(
      { url: home.url, queue: 'work' },
      { controllers: [Worker] },
    );
    const health = app.get(QueueHealthIndicator);
    for (let ping = 0; ping < 20; ping++)
      expect(await health.isHealthy()).toMatchObject({ queue: { status: 'up' } });
    await emit(client, 'work', 1);
    await calls.until(1);
    expect(await health.isHealthy()).toMatchObject({ queue: { queues: [{ name: 'work' }] } });
    await server.unwrap<Link>().deleteQueue('work');
    expect(await health.isHealthy()).toMatchObject({
      queue: { status: 'down', message: expect.stringContaining("'work'") },
    });
    await app.close();
  });

  it('25. Queue workers lack Nest enhancers: guards, interceptors, pipes and filters, as anywhere', async () => {
    const { app, client, server } = await startApp(
      { url: home.url, queue: 'work', retry: { attempts: 1 } },
      { controllers: [Worker] },
    );
    await emit(client, 'work.enhanced', { paid: true, id: '7' });
    expect(await calls.until(3)).toEqual(['guard', 'interceptor', 7]);
    await emit(client, 'work.enhanced', { paid: true, id: '0' });
    expect((await calls.until(7)).slice(3)).toEqual(['guard', 'interceptor', 0, 'filter']);
    await server.drain();
    expect(await depth(server, 'work.dead')).toBe(0);
    await app.close();
  });

  it('25. Conditional workers: a process that connects no microservice sends, and handles nothing', async () => {
    @Module({ imports: [QueueModule.forRoot({ url: home.url, queue: 'work' })], controllers: [Worker] })
    class AppModule {}
    const web = await NestFactory.create(AppModule, { logger: false });
    await web.init();
    const worker = await startApp({ url: home.url, queue: 'work' }, { controllers: [Worker] });
    await worker.server.drain();
    await emit(web.get(QueueClient), 'work', 1);
    await web.close();
    expect(calls.items).toEqual([]);
    expect(await depth(worker.server, 'work')).toBe(1);
    await worker.app.close();
  });
});

describe('no broker to run', () => {
  it("20. I don't want external dependencies at all: a test needs no Docker, no port and no file", async () => {
    const before = process.getActiveResourcesInfo().filter((kind) => kind.includes('TCP')).length;
    const broker = await TestBroker.start();
    calls.items.length = 0;
    const { app, client } = await startApp({ url: broker.url }, { controllers: [Worker] });
    client.emit('work', 1);
    expect(await calls.until(1)).toEqual([1]);
    expect(process.getActiveResourcesInfo().filter((kind) => kind.includes('TCP'))).toHaveLength(before);
    await app.close();
    await broker.stop();
  });

  it.each(['memory:', 'file:'])(
    '21. Slow broker start, open handles: nothing is left open after closing, on %s',
    async (scheme) => {
      const { path, remove } = temporaryDirectory();
      // Of what ends by itself, nothing is left open.
      const resources = (): string[] =>
        process
          .getActiveResourcesInfo()
          .filter((kind) => !/Immediate|TickObject|Timeout|FSReq/.test(kind))
          .toSorted();
      const before = resources();
      const { app, client } = await startApp(
        { url: scheme === 'file:' ? `file:${path}/mq` : 'memory:handles' },
        { controllers: [Worker] },
      );
      await emitted(client);
      await app.close();
      expect(resources()).toEqual(before);
      remove();
    },
  );

  it('24. It forces teams to run external brokers: a directory is enough, and what was emitted survives a restart', async () => {
    const { path, remove } = temporaryDirectory();
    calls.items.length = 0;
    const options = { url: `file:${path}/mq`, queue: 'work' };
    const first = await startApp(options, { controllers: [Worker] });
    await first.server.drain();
    await emitted(first.client);
    await first.app.close();
    expect(existsSync(`${path}/mq/journal`)).toBe(true);
    expect(calls.items).toEqual([]);
    const second = await startApp(options, { controllers: [Worker] });
    expect(await calls.until(1)).toEqual([1]);
    await second.app.close();
    remove();
  });
});

async function emitted(client: QueueClient): Promise<void> {
  await lastValueFrom(client.emit('work', 1), { defaultValue: undefined });
}
