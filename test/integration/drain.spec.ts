import { describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueClient, QueueContext, QueueServer } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Collector, startApp } from './app.js';

function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe('closing the application', () => {
  it('stops intake, waits for running handlers while what they use still works, and keeps the rest', async () => {
    const broker = await TestBroker.start();
    const began = new Collector<number>();
    const release = deferred();
    const order: string[] = [];

    @Injectable()
    class Database implements OnModuleDestroy {
      open = true;
      onModuleDestroy(): void {
        this.open = false;
        order.push('database closed');
      }
    }
    @Module({ providers: [Database], exports: [Database] })
    class DatabaseModule {}
    @Controller()
    class Worker {
      constructor(
        private readonly database: Database,
        private readonly client: QueueClient,
      ) {}
      @EventPattern('work')
      async work(@Payload() data: number): Promise<void> {
        began.add(data);
        await release.promise;
        await lastValueFrom(this.client.emit('worked', data), { defaultValue: undefined });
        order.push(`handled ${data}, database ${this.database.open ? 'open' : 'closed'}`);
      }
      @EventPattern('worked', { queue: 'after' })
      worked(_data: unknown): void {
        // The queue that 'worked' goes to.
      }
    }
    const { app, client } = await startApp(
      { url: broker.url, queue: 'work', prefetchCount: 2 },
      { imports: [DatabaseModule], controllers: [Worker] },
    );
    for (const data of [1, 2, 3]) client.emit('work', data);
    await began.until(2);
    const closed = app.close();
    release.resolve();
    await closed;
    expect(order).toEqual(['handled 1, database open', 'handled 2, database open', 'database closed']);
    expect(began.items).toEqual([1, 2]);
    expect(broker.messageCount('work')).toBe(1);
    expect(broker.messageCount('after')).toBe(2);
    await broker.stop();
  });

  it('gives a message back when its handler does not end in the grace period, and aborts its signal', async () => {
    const broker = await TestBroker.start();
    const signals = new Collector<AbortSignal>();
    @Controller()
    class Worker {
      @EventPattern('work')
      work(@Ctx() context: QueueContext): Promise<void> {
        signals.add(context.signal);
        return new Promise(() => {});
      }
    }
    const { app, client } = await startApp(
      { url: broker.url, queue: 'work', gracePeriod: 1 },
      { controllers: [Worker] },
    );
    client.emit('work', 1);
    const [signal] = await signals.until(1);
    expect(signal?.aborted).toBe(false);
    await app.close();
    expect(signal?.aborted).toBe(true);
    expect(broker.messageCount('work')).toBe(1);
    await broker.stop();
  });

  it('can be done twice, and before the start', async () => {
    const broker = await TestBroker.start();
    const { app, server, client } = await startApp({ url: broker.url }, {});
    await Promise.all([server.close(), server.close(), client.close()]);
    await app.close();
    expect(() => server.unwrap()).toThrow('Not initialized');
    await new QueueServer({ url: broker.url }).close();
    await broker.stop();
  });
});
