import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import { Batch, Concurrency, OrderingKey, QueueContext, Retry } from '@nestmq/transport';
import { type RabbitMq, startRabbitMq } from '../../peers/rabbitmq.js';
import { Collector, type StartedApp, startApp } from '../app.js';
import { deferred, emitAll } from './support.js';

interface Home {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

async function ourBroker(): Promise<Home> {
  const broker = await TestBroker.start({ listen: true });
  return { url: broker.amqpUrl, stop: () => broker.stop() };
}

async function rabbitMq(): Promise<Home | undefined> {
  const server: RabbitMq | undefined = await startRabbitMq();
  return server && { url: server.url, stop: () => server.stop() };
}

describe.each([
  ['our broker by amqp:', ourBroker],
  ['RabbitMQ', rabbitMq],
])('policies on %s', (_name, start) => {
  let home: Home | undefined;
  const apps: StartedApp[] = [];
  beforeAll(async () => {
    home = await start();
  }, 120_000);
  afterEach(async () => {
    for (const { app } of apps.splice(0)) await app.close();
  });
  afterAll(() => home?.stop());

  it('keep an order through failures and from one instance to the next', async () => {
    if (home === undefined) return;
    const seen = new Collector<string>();
    const hold = deferred();
    @Controller()
    class Accounts {
      @EventPattern<string>('step')
      @OrderingKey('account')
      @Retry({ attempts: 3, delay: 20, backoff: 'fixed' })
      async step(
        @Payload() step: { account: string; n: number },
        @Ctx() context: QueueContext,
      ): Promise<void> {
        seen.add(`${step.account}${step.n}.${context.attempt}`);
        if (step.n === 1 && context.attempt < 3) throw new Error('not yet');
        if (step.n === 2) await hold.promise;
      }
    }
    const options = { url: home.url, queue: `ordered-${randomUUID()}`, prefetchCount: 4 };
    const first = await startApp(options, { controllers: [Accounts] });
    apps.push(first, await startApp(options, { controllers: [Accounts] }));
    await emitAll(
      first,
      'step',
      Array.from({ length: 9 }, (_, i) => ({ account: 'a', n: i + 1 })),
    );
    expect(await seen.until(4)).toEqual(['a1.1', 'a1.2', 'a1.3', 'a2.1']);
    const closed = first.app.close();
    hold.resolve();
    await closed;
    const rest = Array.from({ length: 7 }, (_, i) => `a${i + 3}.1`);
    expect((await seen.until(11)).slice(4)).toEqual(rest);
  });

  it('collect batches and bound what runs at once', async () => {
    if (home === undefined) return;
    const batches = new Collector<readonly number[]>();
    let running = 0;
    let most = 0;
    @Controller()
    class Metrics {
      @EventPattern<string>('metric', { queue: `metrics-${randomUUID()}` })
      @Batch({ size: 4, timeoutMs: 200 })
      @Concurrency(1)
      async store(@Payload() data: readonly number[]): Promise<void> {
        most = Math.max(most, ++running);
        await new Promise(setImmediate);
        batches.add(data);
        running -= 1;
      }
    }
    const app = await startApp(
      { url: home.url, queue: `service-${randomUUID()}` },
      { controllers: [Metrics] },
    );
    apps.push(app);
    await emitAll(app, 'metric', [1, 2, 3, 4, 5, 6]);
    expect((await batches.until(2)).flat().toSorted()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(Math.max(...batches.items.map(({ length }) => length))).toBeLessThanOrEqual(4);
    expect(most).toBe(1);
  });
});
