import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, type LoggerService, Module, type Provider } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { QueueTestHarness } from '@nestmq/testing';
import { QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';

@Injectable()
class Stock {
  failures = 0;
  reserve(): void {
    if (this.failures-- > 0) throw new RangeError('no stock');
  }
}

interface Order {
  readonly id: number;
}

@Controller()
class Orders {
  constructor(
    private readonly stock: Stock,
    private readonly client: QueueClient,
  ) {}
  @EventPattern<string>('order.placed', { retry: { attempts: 3, delay: '5m', jitter: 0 } })
  async placed(@Payload() order: Order, @Ctx() context: QueueContext): Promise<void> {
    this.stock.reserve();
    await new Promise<void>((resolve, reject) => {
      this.client.emit('order.reserved', { ...order, attempt: context.attempt }).subscribe({
        complete: resolve,
        error: reject,
      });
    });
  }
  @EventPattern<string>('order.reserved')
  reserved(): void {}
  @EventPattern<string>('report.due', { schedule: { cron: '0 6 * * *', timeZone: 'UTC' } })
  report(): void {}
  @MessagePattern('total')
  total(@Payload() numbers: readonly number[]): number {
    if (numbers.length === 0) throw new RpcException('nothing to add');
    return numbers.reduce((a, b) => a + b, 0);
  }
}

/** As an application has it: on the disk, or in RabbitMQ. */
@Module({
  imports: [
    QueueModule.forRoot({
      urls: ['amqp://nowhere.invalid'],
      amqp: { connectionTimeout: '1s' },
      queue: 'orders',
    }),
  ],
  controllers: [Orders],
  providers: [Stock],
})
class AppModule {}

const ignore = (): void => {};
const SILENT: LoggerService = { log: ignore, warn: ignore, error: ignore };

function builder(providers: Provider[] = []): TestingModuleBuilder {
  // What fails on purpose need not be logged.
  return Test.createTestingModule({ imports: [AppModule], providers }).setLogger(SILENT);
}

let harness: QueueTestHarness;
afterEach(() => harness.close());

async function start(clock: 'manual' | 'system' = 'manual'): Promise<Stock> {
  const started = await QueueTestHarness.start(builder(), { clock });
  harness = started;
  return started.module.get(Stock);
}

describe('the harness', () => {
  it('runs the application with its messages in memory, and sees what becomes of them', async () => {
    await start('system');
    await harness.emit('order.placed', { id: 7 });
    const reserved = await harness.published('order.reserved');
    expect(reserved).toMatchObject({ data: { id: 7, attempt: 1 }, kind: 'event' });
    const placed = await harness.consumed('order.placed', ({ data }) => (data as Order).id === 7);
    expect(placed).toMatchObject({ queue: 'orders', handler: 'order.placed', attempt: 1, result: 'handled' });
    await harness.consumed('order.reserved');
    expect(harness.consumed('order.*').count).toBe(2);
    expect(harness.published().all.map(({ outcome }) => outcome)).toEqual(['confirmed', 'confirmed']);
    expect(harness.retried().count + harness.deadLettered().count).toBe(0);
  });

  it('retries by its own clock, until the message is dead-lettered', async () => {
    const stock = await start();
    stock.failures = 3;
    await harness.emit('order.placed', { id: 7 });
    expect(await harness.retried('order.placed')).toMatchObject({
      attempt: 1,
      delayMs: 300_000,
      error: new RangeError('no stock'),
    });
    await harness.advance('10m');
    expect(harness.retried('order.placed').all.map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(await harness.deadLettered('order.placed')).toMatchObject({
      attempt: 3,
      reason: 'attempts',
      error: new RangeError('no stock'),
    });
    expect(harness.broker.messageCount('orders.dead')).toBe(1);
    await harness.idle();
  });

  it('answers requests, and passes their errors on', async () => {
    await start();
    await expect(harness.send('total', [1, 2, 3])).resolves.toBe(6);
    await expect(harness.send('total', [])).rejects.toMatchObject({ message: 'nothing to add' });
    const results = (await harness.consumed('total').times(2)).map(({ result }) => result);
    expect(results).toEqual(['handled', 'failed']);
  });

  it('gives up a message without a handler in its sight', async () => {
    await start();
    await harness.emit('order.placed', { id: 1 });
    harness.broker.engine.connect().publish({
      exchange: '',
      routingKey: 'orders',
      properties: { messageId: 'stray' },
      body: Buffer.from('{"id":8}'),
    });
    expect(await harness.deadLettered('#', ({ messageId }) => messageId === 'stray')).toMatchObject({
      reason: 'no-handler',
      handler: undefined,
      data: { id: 8 },
    });
  });

  it('is idle with a schedule, which keeps a message of its own', async () => {
    await start();
    await harness.idle();
    await harness.advance('1d');
    await harness.idle();
    expect(harness.consumed('report.due').count).toBe(1);
  });

  it('fails a miss with the timeline of every message, hop by hop', async () => {
    const stock = await start();
    stock.failures = 1;
    await harness.emit('order.placed', { id: 7 });
    await harness.retried('order.placed');
    const miss = harness.consumed('order.placed').first({ timeout: 20 });
    await expect(miss).rejects.toThrow(
      "Expected 1 of 'order.placed' to be consumed within 20 ms, but there are 0.",
    );
    const { message } = (await miss.catch((error: unknown) => error)) as Error;
    const lines = message
      .replace(/\(.{36}\)/, '(ID)')
      .split('\n')
      .slice(2);
    expect(lines[0]).toBe('order.placed {"id":7} (ID)');
    // Whether it is handled or confirmed first is not told.
    expect(lines.filter((line) => line !== '  +0 ms  confirmed').slice(1)).toEqual([
      '  +0 ms  published (event)',
      '  +0 ms  delivered from orders',
      "  +0 ms  attempt 1 of 'order.placed' begins",
      "  +0 ms  attempt 1 of 'order.placed' retried, again in 300000 ms: RangeError: no stock",
    ]);
    expect(lines).toContain('  +0 ms  confirmed');
    await expect(harness.idle()).rejects.toThrow('1 message(s) are delayed, and time stands still');
  });

  it('waits for what comes later, and for as many as are asked for', async () => {
    await start('system');
    const waiting = harness.consumed('order.placed').times(3);
    for (const id of [1, 2, 3]) await harness.emit('order.placed', { id });
    expect((await waiting).map(({ data }) => (data as Order).id)).toEqual([1, 2, 3]);
  });

  it('leaves nothing open when the application can not start', async () => {
    await start();
    const failure = (): never => {
      throw new Error('no config');
    };
    const failing = QueueTestHarness.start(builder([{ provide: 'CONFIG', useFactory: failure }]));
    await expect(failing).rejects.toThrow('no config');
  });

  it('starts an application as it says itself', async () => {
    let isInitialised = false;
    harness = await QueueTestHarness.start(builder(), {
      startApplication: async (module) => {
        const app = module.createNestApplication();
        app.connectMicroservice({ strategy: app.get(QueueServer) });
        await app.init();
        await app.startAllMicroservices();
        isInitialised = true;
        return app;
      },
    });
    expect(isInitialised).toBe(true);
    await expect(harness.send('total', [4])).resolves.toBe(4);
  });
});

describe('the timeline', () => {
  it('says of what is not acked, and so not kept, that it is gone: there is no other attempt', async () => {
    @Controller()
    class Gauges {
      @EventPattern<string>('read', { noAck: true })
      read(): void {
        throw new Error('no reading');
      }
    }
    const imports = [QueueModule.forRoot({ url: 'memory:', queue: 'gauges' })];
    const module = Test.createTestingModule({ imports, controllers: [Gauges] }).setLogger(SILENT);
    harness = await QueueTestHarness.start(module);
    await harness.emit('read', 1);
    await harness.idle();
    expect(harness.timeline()).toMatch(/attempt 1 of 'read' discarded: Error: no reading$/m);
  });
});

describe('faults', () => {
  it('failNext: the handler throws, once, and the message is tried again', async () => {
    await start();
    harness.failNext('order.*', new Error('the database is away'));
    await harness.emit('order.placed', { id: 7 });
    expect(await harness.retried('order.placed')).toMatchObject({ error: new Error('the database is away') });
    await harness.advance('5m');
    expect(await harness.consumed('order.placed')).toMatchObject({ attempt: 2 });
  });

  it('failNext: a request is answered as if its handler had thrown that', async () => {
    await start();
    harness.failNext('total', new RpcException('later'));
    await expect(harness.send('total', [1])).rejects.toMatchObject({ message: 'later' });
    harness.failNext('total', new Error('secret'));
    await expect(harness.send('total', [1])).rejects.toMatchObject({ message: 'Internal server error' });
    await expect(harness.send('total', [1])).resolves.toBe(1);
  });

  it('duplicateNext: handlers get one message twice', async () => {
    await start();
    harness.duplicateNext('order.placed');
    await harness.emit('order.placed', { id: 7 });
    const [first, second] = await harness.consumed('order.placed').times(2);
    expect(second?.messageId).toBe(first?.messageId);
    await harness.idle();
    expect(harness.consumed('order.placed').count).toBe(2);
  });

  it('delayConfirms: the message is handled, and who emitted it is not told until then', async () => {
    await start('system');
    const release = harness.delayConfirms();
    expect(() => harness.delayConfirms()).toThrow('delayed already');
    let isTold = false;
    const emit = async (): Promise<void> => {
      await harness.emit('total.unheard', 1);
      isTold = true;
    };
    const emitted = emit();
    await harness.published('total.unheard', ({ outcome }) => outcome === 'unroutable');
    await harness.idle();
    expect(isTold).toBe(false);
    release();
    await emitted;
    await harness.emit('order.reserved', { id: 1 });
  });
});
