import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { QueueTestHarness, TestBroker } from '@nestmq/testing';
import { QueueClient, QueueModule, type QueueOptions } from '@nestmq/transport';
import { connect } from 'amqplib';
import { interval, map, type Observable, take } from 'rxjs';
import { startApp, type StartedApp } from '../app.js';

const seen: unknown[] = [];

@Controller()
class Shop {
  constructor(private readonly client: QueueClient) {}
  /** Nobody awaits what it begins. */
  @EventPattern<string>('asks')
  asks(@Payload() pattern: string): void {
    this.client.send(pattern, {}).subscribe((answer) => {
      seen.push(answer);
      if (pattern === 'sum') this.client.emit('told', answer);
    });
  }
  @MessagePattern('sum')
  sum(): Promise<number> {
    return new Promise((resolve) => setTimeout(resolve, 20, 3));
  }
  @MessagePattern('countdown')
  countdown(): Observable<number> {
    return interval(5).pipe(
      map((n) => 2 - n),
      take(3),
    );
  }
  @EventPattern<string>('told')
  told(@Payload() data: unknown): void {
    seen.push(`told ${String(data).length}`);
  }
  @EventPattern<string>('collected', { batch: { size: 10, timeoutMs: 60_000 } })
  collected(): void {}
}

const ignore = (): void => {};
let harness: QueueTestHarness | undefined;
let broker: TestBroker | undefined;
let started: StartedApp | undefined;
afterEach(async () => {
  await harness?.close();
  await started?.app.close();
  await broker?.stop();
  [harness, started, broker] = [undefined, undefined, undefined];
});

async function start(
  options: QueueOptions = {},
  clock: 'system' | 'manual' = 'system',
): Promise<QueueTestHarness> {
  seen.length = 0;
  const imports = [QueueModule.forRoot({ queue: 'shop', ...options })];
  const builder = Test.createTestingModule({ imports, controllers: [Shop] });
  builder.setLogger({ log: ignore, warn: ignore, error: ignore });
  return (harness = await QueueTestHarness.start(builder, { clock }));
}

describe('idle of a harness', () => {
  it('waits for what was emitted and is not on its way yet, since it is being compressed', async () => {
    const shop = await start({ compression: { encoding: 'gzip' } });
    await shop.emit('told', 'warm');
    void shop.emit('told', 'x'.repeat(3_000_000));
    await shop.idle();
    expect(seen).toEqual(['told 4', 'told 3000000']);
  });

  it('waits for the answer of a request that nobody awaits, and for what follows from it', async () => {
    const shop = await start();
    await shop.emit('asks', 'sum');
    await shop.idle();
    expect(seen).toEqual([3, 'told 1']);
  });

  it('waits for the last value of an answer', async () => {
    const shop = await start();
    await shop.emit('asks', 'countdown');
    await shop.idle();
    expect(seen).toEqual([2, 1, 0]);
  });

  it('says of a request that it has no answer', async () => {
    const shop = await start();
    shop.failNext('sum', new Promise(ignore));
    const release = shop.full();
    const asked = shop.send('sum', {});
    await expect(shop.idle({ timeout: 20 })).rejects.toThrow('1 not sent yet or without an answer');
    release();
    await expect(asked).rejects.toBeDefined();
  });

  it('says that time stands still when that may be what a message waits for', async () => {
    const shop = await start({}, 'manual');
    await shop.emit('collected', 1);
    await expect(shop.idle({ timeout: 20 })).rejects.toThrow(
      /1 unsettled, 0 delayed\. Time stands still: .*advance\(\) it/,
    );
    await shop.advance('1m');
    await shop.idle();
    expect(shop.consumed('collected').count).toBe(1);
  });
});

describe('idle of a TestBroker', () => {
  it('waits for what an AMQP client of this process has just written', async () => {
    broker = await TestBroker.start({ listen: true });
    // Otherwise a small frame stays in its socket until the one before is acknowledged: 40 ms.
    const client = await connect(broker.amqpUrl, { noDelay: true });
    const channel = await client.createChannel();
    await channel.assertQueue('jobs');
    let count = 0;
    await channel.consume('jobs', (message) => {
      count++;
      if (message !== null) channel.ack(message);
    });
    for (const n of [1, 2, 3, 4, 5]) {
      channel.sendToQueue('jobs', Buffer.from('job'));
      await broker.idle();
      expect(count).toBe(n);
    }
    await client.close();
  });

  it('does not wait for what the transport keeps for itself, but for a queue that is only named so', async () => {
    @Controller()
    class Scheduled {
      @EventPattern<string>('tick', { schedule: { cron: '0 6 * * *' }, deduplication: { window: '1d' } })
      tick(): void {}
    }
    broker = await TestBroker.start({ clock: 'manual' });
    started = await startApp({ ...broker.queueOptions, queue: 'q' }, { controllers: [Scheduled] });
    await broker.advance('1d');
    await broker.idle({ timeout: 200 });
    expect(broker.engine.queues()).toContainEqual(
      expect.objectContaining({ name: 'q.schedule', unsettledCount: 1 }),
    );
    const connection = broker.engine.connect();
    await connection.declareQueue('post.inbox');
    connection.consume('post.inbox', { onDelivery: ignore });
    connection.publish({ exchange: '', routingKey: 'post.inbox', properties: {}, body: Buffer.from('1') });
    await expect(broker.idle({ timeout: 20 })).rejects.toThrow('1 unsettled');
  });
});
