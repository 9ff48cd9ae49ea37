import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { QueueContext } from '@nestmq/transport';
import { connect } from 'amqplib';
import { type StartedApp, startApp } from '../app.js';

let broker: TestBroker | undefined;
let started: StartedApp | undefined;
afterEach(async () => {
  await started?.app.close();
  await broker?.stop();
  started = undefined;
  broker = undefined;
});

const calls: unknown[] = [];

@Controller()
class Orders {
  @EventPattern<string>('order.placed', { retry: { attempts: 3, delay: '5m', jitter: 0 } })
  placed(@Payload() id: number, @Ctx() context: QueueContext): void {
    calls.push([id, context.attempt, broker?.now()]);
    throw new Error('no stock');
  }
  @EventPattern<string>('report.due', { schedule: { cron: '0 6 * * *', timeZone: 'UTC' } })
  report(): void {
    calls.push(new Date(broker?.now() ?? 0).toISOString());
  }
}

async function onManualClock(): Promise<TestBroker> {
  calls.length = 0;
  broker = await TestBroker.start({ clock: 'manual' });
  started = await startApp({ ...broker.queueOptions, queue: 'orders' }, { controllers: [Orders] });
  return broker;
}

describe('a manual clock', () => {
  it('lets what became due run before advance resolves: retries, then the dead letter', async () => {
    const manual = await onManualClock();
    const start = manual.now();
    started?.client.emit('order.placed', 7);
    await manual.advance(0);
    expect(calls).toEqual([[7, 1, start]]);
    await manual.advance('4m');
    expect(calls).toHaveLength(1);
    await manual.advance('1h');
    expect(calls).toEqual([
      [7, 1, start],
      [7, 2, start + 300_000],
      [7, 3, start + 600_000],
    ]);
    expect(manual.messageCount('orders.dead')).toBe(1);
    expect(manual.now()).toBe(start + 64 * 60_000);
  });

  it('fires schedules at their times', async () => {
    const manual = await onManualClock();
    await manual.advance('2d');
    expect(calls).toEqual(['2026-01-01T06:00:00.000Z', '2026-01-02T06:00:00.000Z']);
  });

  it('expires messages of AMQP clients, and is what their heartbeats go by', async () => {
    broker = await TestBroker.start({ clock: 'manual', listen: true });
    const client = await connect(`${broker.amqpUrl}?heartbeat=0`);
    const channel = await client.createConfirmChannel();
    await channel.assertQueue('short', { messageTtl: 60_000 });
    channel.sendToQueue('short', Buffer.from('1'));
    await channel.waitForConfirms();
    await broker.advance('59s');
    expect(broker.messageCount('short')).toBe(1);
    await broker.advance('1s');
    expect(broker.messageCount('short')).toBe(0);
    await client.close();

    const silent = await connect(`${broker.amqpUrl}?heartbeat=600`);
    const lost = new Promise((resolve) => {
      silent.on('error', resolve);
      silent.on('close', resolve);
    });
    await broker.advance('1h');
    await expect(lost).resolves.toBeDefined();
  });

  it('refuses to move when it is the system clock, and by what is no duration', async () => {
    broker = await TestBroker.start();
    await expect(broker.advance('5m')).rejects.toThrow("clock: 'manual'");
    await broker.stop();
    broker = await TestBroker.start({ clock: 'manual' });
    await expect(broker.advance('soon')).rejects.toThrow("Time can't move by 'soon'");
  });
});

describe('idle', () => {
  it('waits until every message is settled, and says what is not', async () => {
    broker = await TestBroker.start({ listen: true });
    const client = await connect(broker.amqpUrl);
    const channel = await client.createConfirmChannel();
    await channel.assertQueue('jobs');
    const unsettled: (() => void)[] = [];
    const got = new Promise<void>((resolve) => {
      void channel.consume('jobs', (message) => {
        unsettled.push(() => message !== null && channel.ack(message));
        if (unsettled.length === 2) resolve();
      });
    });
    for (const text of ['a', 'b']) channel.sendToQueue('jobs', Buffer.from(text));
    await got;
    await expect(broker.idle({ timeout: 50 })).rejects.toThrow(
      'Not idle after 50 ms: 0 message(s) ready, 2 unsettled',
    );
    const idle = broker.idle();
    for (const ack of unsettled) ack();
    await idle;
    expect(broker.engine.queues()).toMatchObject([{ name: 'jobs', messageCount: 0, unsettledCount: 0 }]);
    await client.close();
  });

  it('does not wait for messages that nobody consumes', async () => {
    broker = await TestBroker.start();
    const connection = broker.engine.connect();
    await connection.declareQueue('kept');
    connection.publish({ exchange: '', routingKey: 'kept', properties: {}, body: Buffer.from('1') });
    await broker.idle();
    expect(broker.messageCount('kept')).toBe(1);
  });

  it('fails at once when what is left is delayed and time stands still', async () => {
    broker = await TestBroker.start({ clock: 'manual' });
    calls.length = 0;
    @Controller()
    class Later {
      @EventPattern<string>('order.placed', { retry: { attempts: 2, delay: '5m', jitter: 0 } })
      placed(): void {
        throw new Error('no stock');
      }
    }
    started = await startApp({ ...broker.queueOptions, queue: 'later' }, { controllers: [Later] });
    started.client.emit('order.placed', 1);
    await broker.advance(0);
    await expect(broker.idle()).rejects.toThrow(
      '1 message(s) are delayed, and time stands still: advance() it.',
    );
    await broker.advance('5m');
    await broker.idle();
    expect(broker.messageCount('later.dead')).toBe(1);
  });
});

describe('reset', () => {
  it('leaves nothing, at the same address, and tells AMQP clients', async () => {
    broker = await TestBroker.start({ listen: true });
    const client = await connect(broker.amqpUrl);
    const closed = new Promise<Error>((resolve) => {
      client.on('close', resolve);
    });
    const channel = await client.createChannel();
    await channel.assertExchange('shop', 'topic');
    await channel.assertQueue('orders');
    await channel.bindQueue('orders', 'shop', '#');
    await channel.bindQueue('orders', 'amq.topic', '#');
    channel.sendToQueue('orders', Buffer.from('1'));
    await channel.checkQueue('orders');
    const url = broker.amqpUrl;
    broker.reset();
    await expect(closed).resolves.toMatchObject({ message: expect.stringContaining('CONNECTION_FORCED') });
    expect(broker.engine.queues()).toEqual([]);
    expect(broker.amqpUrl).toBe(url);
    const next = await connect(url);
    const other = await next.createChannel();
    other.on('error', () => {});
    await expect(other.checkExchange('shop')).rejects.toThrow('NOT_FOUND');
    await next.close();
  });
});

describe('many of them', () => {
  it('are apart, and each stops alone', async () => {
    const [one, other] = await Promise.all([TestBroker.start(), TestBroker.start()]);
    await one.engine.connect().declareQueue('q');
    expect(other.engine.queues()).toEqual([]);
    await one.stop();
    await one.stop();
    expect(other.engine.isClosed).toBe(false);
    await other.stop();
    expect([one.engine.isClosed, other.engine.isClosed]).toEqual([true, true]);
  });
});

describe('an application on it', () => {
  it('finds its messages again after it was closed and started anew', async () => {
    broker = await TestBroker.start();
    @Controller()
    class Nobody {
      @EventPattern<string>('kept')
      kept(): void {}
    }
    started = await startApp({ url: broker.url, queue: 'kept' }, { controllers: [Nobody] });
    await started.app.close();
    const connection = broker.engine.connect();
    connection.publish({
      exchange: 'nestmq.events',
      routingKey: 'kept',
      properties: {},
      body: Buffer.from('1'),
    });
    expect(broker.messageCount('kept')).toBe(1);
    started = await startApp({ url: broker.url, queue: 'kept' }, { controllers: [Nobody] });
    await broker.idle();
    expect(broker.messageCount('kept')).toBe(0);
  });
});
