import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { Test, type TestingModuleBuilder } from '@nestjs/testing';
import { QueueTestHarness, TestBroker } from '@nestmq/testing';
import { QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';
import { connect } from 'amqplib';

let onPlaced: (id: number, context: QueueContext) => Promise<void> | void;

@Controller()
class Orders {
  @EventPattern<string>('order.placed', { retry: { attempts: 3, delay: '5m', jitter: 0 } })
  placed(@Payload() id: number, @Ctx() context: QueueContext): Promise<void> | void {
    return onPlaced(id, context);
  }
}

const ignore = (): void => {};
const builder = (): TestingModuleBuilder =>
  Test.createTestingModule({
    imports: [QueueModule.forRoot({ url: 'file:./data', queue: 'orders', prefetchCount: 1 })],
    controllers: [Orders],
  }).setLogger({ log: ignore, warn: ignore, error: ignore });

let harness: QueueTestHarness | undefined;
let broker: TestBroker | undefined;
afterEach(async () => {
  await harness?.close();
  await broker?.stop();
  harness = undefined;
  broker = undefined;
});

describe.each([
  ['manual', 'hangs'],
  ['system', 'hangs'],
  ['manual', 'finishes all the same'],
] as const)('a crash, by the %s clock, in a handler that %s', (clock, how) => {
  it('delivers again what was in hand, and nothing that was settled', async () => {
    harness = await QueueTestHarness.start(builder, { clock });
    const seen: unknown[] = [];
    let onStuck!: () => void;
    const stuck = new Promise<void>((resolve) => {
      onStuck = resolve;
    });
    let signal: AbortSignal | undefined;
    let finish!: () => void;
    onPlaced = (id, context) => {
      seen.push([id, context.redelivered]);
      if (id !== 2) return undefined;
      ({ signal } = context);
      onStuck();
      // The process dies in the middle of it.
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    for (const id of [1, 2, 3]) await harness.emit('order.placed', id);
    await stuck;
    await harness.consumed('order.placed', ({ data }) => data === 1);
    await harness.broker.engine.durable();
    const crashing = harness.crash();
    if (how !== 'hangs') finish();
    await crashing;
    expect(signal?.aborted).toBe(how === 'hangs');
    expect(() => harness?.app).toThrow('restart() it');

    onPlaced = (id, { redelivered }) => {
      seen.push([id, redelivered]);
    };
    await harness.restart();
    await harness.idle();
    expect(seen).toEqual([
      [1, false],
      [2, false],
      [2, true],
      [3, expect.any(Boolean)],
    ]);
    expect(harness.consumed('order.placed').all.map(({ data }) => data)).toEqual([1, 2, 3]);
  });
});

describe('a crash', () => {
  it('keeps delayed retries, and leaves no trace of what happens after it', async () => {
    harness = await QueueTestHarness.start(builder, { clock: 'manual' });
    onPlaced = () => {
      throw new Error('not yet');
    };
    await harness.emit('order.placed', 1);
    await harness.retried('order.placed');
    await harness.advance('1m');
    await harness.crash();
    const attempts: number[] = [];
    onPlaced = (_id, { attempt }) => {
      attempts.push(attempt);
    };
    await harness.restart();
    await harness.advance('3m');
    expect(attempts).toEqual([]);
    await harness.advance('1m');
    expect(attempts).toEqual([2]);
    await harness.idle();
  });

  it('can be told from a stop in good order, which settles what runs', async () => {
    harness = await QueueTestHarness.start(builder, { clock: 'manual' });
    onPlaced = ignore;
    await harness.emit('order.placed', 1);
    await harness.restart();
    await harness.idle();
    expect(harness.consumed('order.placed').count).toBe(1);
  });

  it('needs a function for another life', async () => {
    harness = await QueueTestHarness.start(builder());
    await harness.crash();
    await expect(harness.restart()).rejects.toThrow('Give start() a function');
  });

  it('keeps what was confirmed to an AMQP client, at the same port, and no transient message', async () => {
    broker = await TestBroker.start({ listen: true });
    const url = broker.amqpUrl;
    const client = await connect(url);
    const closed = new Promise((resolve) => {
      client.on('close', resolve);
    });
    const channel = await client.createConfirmChannel();
    await channel.assertQueue('durable');
    await channel.assertQueue('transient', { durable: false });
    for (const queue of ['durable', 'transient'])
      channel.sendToQueue(queue, Buffer.from('kept'), { persistent: true });
    channel.sendToQueue('durable', Buffer.from('lost'));
    await channel.waitForConfirms();
    await broker.crash();
    await closed;
    await expect(connect(url)).rejects.toThrow('ECONNREFUSED');
    await broker.restart();
    expect(broker.amqpUrl).toBe(url);
    expect(broker.engine.queues().map(({ name }) => name)).toEqual(['durable']);
    expect(await broker.take('durable', 1)).toMatchObject([{ data: 'kept' }]);
    expect(broker.messageCount('durable')).toBe(0);
  });

  it('is not followed by a restart while an application still has the engine open', async () => {
    broker = await TestBroker.start();
    harness = undefined;
    const imports = [QueueModule.forRoot({ url: broker.url, queue: 'orders' })];
    const module = await Test.createTestingModule({ imports }).compile();
    const app = module.createNestApplication({ logger: false });
    await app.init();
    await broker.crash();
    await expect(broker.restart()).rejects.toThrow('An application still uses the broker.');
    await app.close();
    await broker.restart();
    expect(broker.engine.isClosed).toBe(false);
  });
});

describe('other faults', () => {
  it('full: publishes wait, consumers go on, and all is well when there is room again', async () => {
    harness = await QueueTestHarness.start(builder);
    let onIn!: (finish: () => void) => void;
    const inHand = new Promise<() => void>((resolve) => {
      onIn = resolve;
    });
    onPlaced = (id) => (id === 1 ? new Promise<void>((resolve) => onIn(resolve)) : undefined);
    await harness.emit('order.placed', 1);
    const finish = await inHand;
    const release = harness.full();
    const waiting = harness.emit('order.placed', 2);
    finish();
    await harness.consumed('order.placed', ({ data }) => data === 1);
    expect(harness.published('order.placed').all.map(({ outcome }) => outcome)).toEqual([
      'confirmed',
      'waiting',
    ]);
    release();
    await waiting;
    await harness.consumed('order.placed', ({ data }) => data === 2);
  });

  it('full: an AMQP client is told', async () => {
    broker = await TestBroker.start({ listen: true });
    const client = await connect(broker.amqpUrl);
    const channel = await client.createConfirmChannel();
    await channel.assertQueue('q');
    const blocked = new Promise((resolve) => {
      client.on('blocked', resolve);
    });
    const unblocked = new Promise((resolve) => {
      client.on('unblocked', resolve);
    });
    const release = broker.full();
    channel.sendToQueue('q', Buffer.from('1'));
    await expect(blocked).resolves.toContain('is full');
    release();
    await unblocked;
    await channel.waitForConfirms();
    expect(broker.messageCount('q')).toBe(1);
    await client.close();
  });

  it('disconnect: an application that is connected by AMQP comes back, and gets its messages', async () => {
    broker = await TestBroker.start({ listen: true });
    const seen: unknown[] = [];
    onPlaced = (id) => {
      seen.push(id);
    };
    const amqp = broker.amqpUrl;
    const imports = [
      QueueModule.forRoot({
        url: amqp,
        queue: 'orders',
        amqp: { reconnect: { minDelay: 10, maxDelay: 10 } },
      }),
    ];
    const module = await Test.createTestingModule({ imports, controllers: [Orders] }).compile();
    const server = module.get(QueueServer);
    const app = module.createNestMicroservice({ strategy: server, logger: false });
    await app.listen();
    const again = new Promise<void>((resolve) => {
      server.on('connect', resolve);
    });
    broker.disconnect();
    await again;
    await new Promise<void>((resolve, reject) => {
      module.get(QueueClient).emit('order.placed', 7).subscribe({ complete: resolve, error: reject });
    });
    await broker.idle();
    expect(seen).toEqual([7]);
    await app.close();
  });
});
