import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { type FileSystem, ManualClock, nodeFileSystem } from '@nestmq/broker';
import { TestBroker } from '@nestmq/testing';
import { type Link, QueueAdmin, QueueHealthIndicator } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp, temporaryDirectory } from './app.js';

const handled = new Collector<number>();

@Controller()
class Orders {
  @EventPattern<string>('order')
  take(@Payload() id: number): void {
    if (id < 0) throw new Error('no such order');
    handled.add(id);
  }
}

async function emit({ client }: StartedApp, ...ids: number[]): Promise<void> {
  for (const id of ids) await lastValueFrom(client.emit('order', id), { defaultValue: undefined });
}

describe('QueueHealthIndicator', () => {
  let broker: TestBroker;
  let started: StartedApp;
  let health: QueueHealthIndicator;

  beforeEach(async () => {
    broker = await TestBroker.start();
    started = await startApp(
      { url: broker.url, queue: 'orders', retry: { attempts: 1 } },
      { controllers: [Orders], imports: [TerminusModule.forRoot({ logger: false })] },
    );
    health = started.app.get(QueueHealthIndicator);
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });

  const up = { name: 'orders', consumer: 'running', ready: 0, deadLetters: 0 };

  it('is up when messages are taken', async () => {
    expect(await health.isHealthy('mq')).toEqual({ mq: { status: 'up', queues: [up] } });
  });

  it('gives Terminus what it wants', async () => {
    const terminus = started.app.get(HealthCheckService);
    expect(await terminus.check([() => health.isHealthy()])).toMatchObject({
      status: 'ok',
      info: { queue: { status: 'up' } },
    });
    await started.client.connect();
    await started.client.unwrap<Link>().deleteQueue('orders');
    await expect(terminus.check([() => health.isHealthy()])).rejects.toMatchObject({
      response: { status: 'error', error: { queue: { status: 'down' } } },
    });
  });

  it('is down when a queue was deleted under its consumer, also when there is a new one of its name', async () => {
    await started.client.connect();
    const link = started.client.unwrap<Link>();
    await link.deleteQueue('orders');
    expect(await health.isHealthy()).toEqual({
      queue: {
        status: 'down',
        message: "The queue 'orders' is not there.",
        queues: [{ ...up, consumer: 'deleted' }],
      },
    });
    await link.declareQueue('orders');
    expect(await health.isHealthy()).toMatchObject({
      queue: { status: 'down', message: "The queue 'orders' was deleted under its consumer." },
    });
    await started.app.get(QueueAdmin).resume('orders');
    expect(await health.isHealthy()).toMatchObject({ queue: { status: 'up' } });
  });

  it('is up when a queue is paused by hand', async () => {
    started.app.get(QueueAdmin).pause('orders');
    await emit(started, 1);
    expect(await health.isHealthy()).toEqual({
      queue: { status: 'up', queues: [{ ...up, consumer: 'paused', ready: 1 }] },
    });
  });

  it('is down when there are more dead letters than allowed', async () => {
    await emit(started, -1, -2);
    while (broker.messageCount('orders.dead') < 2) await new Promise(setImmediate);
    expect(await health.isHealthy('mq', { deadLettersMax: 2 })).toMatchObject({ mq: { status: 'up' } });
    expect(await health.isHealthy('mq', { deadLettersMax: 1 })).toMatchObject({
      mq: { status: 'down', message: "There are 2 dead letters of 'orders', more than 1." },
    });
    expect(await health.isHealthy('mq')).toMatchObject({
      mq: { status: 'up', queues: [{ deadLetters: 2 }] },
    });
  });

  it('is down when the application is closed', async () => {
    await started.app.close();
    expect(await health.isHealthy()).toMatchObject({
      queue: { status: 'down', message: expect.stringContaining('does not listen') },
    });
  });

  it('leaves nothing behind, however often it is asked', async () => {
    const link = started.server.unwrap<Link>();
    const making = (
      ['declareQueue', 'declareOwnQueue', 'declareExchange', 'publish', 'consume', 'take'] as const
    ).map((method) => jest.spyOn(link, method));
    for (let asked = 0; asked < 100; asked++) await health.isHealthy();
    expect(making.map((spy) => spy.mock.calls.length)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it.each([{ timeout: 0 }, { timeout: '2m' }, { deadLettersMax: -1 }, { deadLetterMax: 1 }])(
    'refuses %p',
    async (options) => {
      await expect(health.isHealthy('queue', options)).rejects.toThrow(/Give|Options here are/);
    },
  );
});

describe('QueueHealthIndicator of a service that has no handlers', () => {
  it('is up: it only publishes', async () => {
    const started = await startApp({ url: 'memory:publisher' }, {});
    expect(await started.app.get(QueueHealthIndicator).isHealthy()).toEqual({
      queue: { status: 'up', queues: [] },
    });
    await started.app.close();
  });
});

describe('QueueHealthIndicator over a disk', () => {
  const clock = new ManualClock();
  let directory: ReturnType<typeof temporaryDirectory>;
  let started: StartedApp;
  let health: QueueHealthIndicator;
  let free = 1000;
  let failing = false;

  beforeEach(async () => {
    handled.items.length = 0;
    free = 1000;
    failing = false;
    directory = temporaryDirectory();
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      freeBytes: async () => free,
      open: async (...args) => {
        const file = await nodeFileSystem.open(...args);
        return new Proxy(file, {
          get(target, name) {
            if (failing && String(name).startsWith('write'))
              return () => Promise.reject(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
            const value: unknown = Reflect.get(target, name);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    };
    const broker = { clock, fileSystem, diskFreeBytesMin: 100, settlementDelayMs: 0, onFailure: () => {} };
    started = await startApp(
      { url: `file:${directory.path}`, queue: 'orders', broker },
      { controllers: [Orders] },
    );
    health = started.app.get(QueueHealthIndicator);
    await emit(started, 1);
    await handled.until(1);
  });
  afterEach(async () => {
    await started.app.close();
    directory.remove();
  });

  it('is down while publishers are blocked', async () => {
    expect(await health.isHealthy()).toMatchObject({ queue: { status: 'up' } });
    free = 99;
    await emit(started, 2);
    while (started.server.unwrap<Link>().blocked === undefined) await new Promise(setImmediate);
    expect(await health.isHealthy()).toMatchObject({
      queue: { status: 'down', message: expect.stringContaining('Publishers are blocked: ') },
    });
    free = 1000;
    clock.advance(1000);
    while (started.server.unwrap<Link>().blocked !== undefined) await new Promise(setImmediate);
    expect(await health.isHealthy()).toMatchObject({ queue: { status: 'up' } });
  });

  it('is down when the disk fails', async () => {
    failing = true;
    await expect(emit(started, 2)).rejects.toMatchObject({ code: 'STORE_FAILED' });
    expect(await health.isHealthy()).toMatchObject({
      queue: { status: 'down', message: expect.stringContaining('EIO') },
    });
    failing = false;
    while ((await health.isHealthy()).queue.status === 'down') {
      clock.advance(1000);
      await new Promise(setImmediate);
    }
  });

  it('is down, and does not hang, when the broker does not answer', async () => {
    const flush = jest.spyOn(started.server.unwrap<Link>(), 'flush').mockReturnValue(new Promise(() => {}));
    const asked = health.isHealthy('queue', { timeout: '2s' });
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    clock.advance(1999);
    await new Promise(setImmediate);
    clock.advance(1);
    expect(await asked).toEqual({
      queue: { status: 'down', message: 'The broker did not answer in 2000 ms.', queues: [] },
    });
    flush.mockRestore();
  });
});
