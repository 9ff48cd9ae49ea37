import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  type BeforeApplicationShutdown,
  Controller,
  Injectable,
  Module,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Client,
  ClientProxy,
  Ctx,
  type CustomClientOptions,
  EventPattern,
  Payload,
} from '@nestjs/microservices';
import { leaseBroker, QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Collector, temporaryDirectory } from '../app.js';
import { depth, HOMES, type Home } from '../homes.js';

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let open!: () => void;
  const promise = new Promise<void>((done) => {
    open = done;
  });
  return { promise, resolve: open };
}

/** How many messages wait in a queue on a directory that nobody owns any more. */
async function waiting(directory: string, ...queues: string[]): Promise<number[]> {
  const lease = await leaseBroker({ directory });
  const connection = lease.broker.connect();
  const counts = queues.map((queue) => connection.checkQueue(queue).messageCount);
  connection.close();
  await lease.release();
  return counts;
}

describe.each(['hybrid', 'standalone'])('SIGTERM ends a %s application', (kind) => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let child: ChildProcess;
  let lines: Collector<string>;
  beforeEach(() => {
    directory = temporaryDirectory();
    lines = new Collector();
  });
  afterEach(() => {
    child.kill('SIGKILL');
    directory.remove();
  });

  function start(gracePeriod: number): Promise<{ code: number | null; signal: string | null }> {
    const worker = resolve('test/dist/integration/nest-contract/shutdown-worker.js');
    child = spawn(process.execPath, [worker, directory.path, kind, String(gracePeriod)], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => lines.add(line));
    return new Promise((ended) => child.once('close', (code, signal) => ended({ code, signal })));
  }

  it('in order: intake, handlers, everything else; what was not begun stays; a second signal changes nothing', async () => {
    const ended = start(60_000);
    expect((await lines.until(4)).toSorted()).toEqual(['began 1', 'began 2', 'connected', 'emitted']);
    child.kill('SIGTERM');
    expect((await lines.until(5)).at(4)).toBe('draining');
    child.kill('SIGTERM');
    child.send('release');
    expect(await ended).toEqual({ code: null, signal: 'SIGTERM' });
    expect(lines.items.slice(5)).toEqual([
      'handled 1, database open',
      'handled 2, database open',
      'database closed',
      'disconnected',
      'shutdown SIGTERM',
    ]);
    expect(await waiting(directory.path, 'work', 'worked', 'work.dead')).toEqual([2, 2, 0]);
  });

  it('after the grace period, when handlers do not end: their signals abort and their messages go back', async () => {
    const ended = start(1);
    await lines.until(4);
    child.kill('SIGTERM');
    expect(await ended).toEqual({ code: null, signal: 'SIGTERM' });
    expect(lines.items.slice(4)).toEqual([
      'draining',
      'aborted 1',
      'aborted 2',
      'database closed',
      'disconnected',
      'shutdown SIGTERM',
    ]);
    expect(await waiting(directory.path, 'work', 'worked')).toEqual([4, 0]);
  });
});

describe.each(HOMES)('closing an application on %s', (_scheme, makeHome) => {
  let home: Home;
  beforeEach(async () => {
    home = await makeHome();
  });
  afterEach(async () => home.remove());

  it.each(['hybrid', 'standalone'])(
    'lets the hooks of other modules and handlers that still run emit until the last, in a %s one',
    async (kind) => {
      const order: string[] = [];
      const began = new Collector<number>();
      const release = deferred();
      const options: CustomClientOptions = { customClass: QueueClient, options: { url: home.url } };
      @Injectable()
      class Other implements OnModuleDestroy, BeforeApplicationShutdown, OnApplicationShutdown {
        @Client(options)
        readonly own!: ClientProxy;
        constructor(private readonly client: QueueClient) {}
        async #emit(hook: string): Promise<void> {
          await lastValueFrom(this.client.emit('audit', hook), { defaultValue: undefined });
          order.push(hook);
        }
        onModuleDestroy(): Promise<void> {
          return this.#emit('onModuleDestroy');
        }
        beforeApplicationShutdown(): Promise<void> {
          return this.#emit('beforeApplicationShutdown');
        }
        onApplicationShutdown(): Promise<void> {
          return this.#emit('onApplicationShutdown');
        }
      }
      @Controller()
      class Worker {
        @Client(options)
        readonly own!: ClientProxy;
        @EventPattern('work')
        async work(@Payload() n: number): Promise<void> {
          began.add(n);
          await release.promise;
          await lastValueFrom(this.own.emit('audit', n), { defaultValue: undefined });
          order.push(`handled ${n}`);
        }
        @EventPattern('audit', { queue: 'audit' })
        audit(_data: unknown): void {
          // The queue that 'audit' goes to.
        }
      }
      @Module({
        imports: [QueueModule.forRoot({ url: home.url, queue: 'work', prefetchCount: 1 })],
        controllers: [Worker],
        providers: [Other],
      })
      class AppModule {}
      const app =
        kind === 'hybrid'
          ? await NestFactory.create(AppModule, { logger: false })
          : await NestFactory.createMicroservice(AppModule, {
              useFactory: (server: QueueServer) => ({ strategy: server }),
              inject: [QueueServer],
              logger: false,
            });
      if ('startAllMicroservices' in app) {
        app.connectMicroservice({ strategy: app.get(QueueServer) });
        await app.init();
        await app.startAllMicroservices();
      } else await app.listen();
      const keeper = new QueueServer({ url: home.url, queue: 'keeper' });
      await keeper.prepare();
      app.get(QueueClient).emit('work', 1);
      app.get(QueueClient).emit('work', 2);
      await began.until(1);
      const closed = app.close();
      release.resolve();
      await closed;
      expect(order).toEqual([
        'handled 1',
        'onModuleDestroy',
        'beforeApplicationShutdown',
        'onApplicationShutdown',
      ]);
      expect(await depths(keeper, 'work', 'audit')).toEqual([1, 4]);
      await keeper.close();
    },
  );

  it('while it starts leaves nothing behind', async () => {
    const starting = deferred();
    const began = deferred();
    @Injectable()
    class Slow implements OnModuleInit {
      async onModuleInit(): Promise<void> {
        began.resolve();
        await starting.promise;
      }
    }
    @Module({ imports: [QueueModule.forRoot({ url: home.url })], providers: [Slow] })
    class AppModule {}
    const app = await NestFactory.create(AppModule, { logger: false });
    const server = app.get(QueueServer);
    app.connectMicroservice({ strategy: server });
    const initialised = app.init();
    await began.promise;
    const closed = app.close();
    starting.resolve();
    await Promise.all([initialised, closed]);
    await expect(app.startAllMicroservices()).rejects.toThrow('The queue server is not open');
    expect(() => server.unwrap()).toThrow('Not initialized');
  });

  it('before it has started leaves nothing behind, and what starts later is refused', async () => {
    const server = new QueueServer({ url: home.url });
    await server.close();
    await expect(server.prepare()).rejects.toThrow('The queue server is not open');
    const error = await new Promise((called) => {
      server.listen(called);
    });
    expect(String(error)).toContain('The queue server is not open');
  });

  it('tells handlers by their signal, not by an end: a handler that watches it ends in time', async () => {
    const began = deferred();
    const reasons: unknown[] = [];
    @Controller()
    class Worker {
      @EventPattern<string>('work')
      work(@Payload() _data: unknown, @Ctx() { signal }: QueueContext): Promise<void> {
        began.resolve();
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reasons.push(signal.reason);
            reject(signal.reason as Error);
          });
        });
      }
    }
    @Module({
      imports: [QueueModule.forRoot({ url: home.url, queue: 'work', gracePeriod: 1 })],
      controllers: [Worker],
    })
    class AppModule {}
    const keeper = new QueueServer({ url: home.url, queue: 'keeper' });
    await keeper.prepare();
    const app = await NestFactory.create(AppModule, { logger: false });
    app.connectMicroservice({ strategy: app.get(QueueServer) });
    await app.init();
    await app.startAllMicroservices();
    app.get(QueueClient).emit('work', 1);
    await began.promise;
    await app.close();
    expect(String(reasons[0])).toContain('the grace period is over');
    expect(await depths(keeper, 'work', 'work.dead')).toEqual([1, 0]);
    await keeper.close();
  });
});

function depths(server: QueueServer, ...queues: string[]): Promise<number[]> {
  return Promise.all(queues.map((queue) => depth(server, queue)));
}
