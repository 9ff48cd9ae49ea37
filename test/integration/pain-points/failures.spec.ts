import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import {
  type Link,
  QueueClient,
  QueueContext,
  QueueRecordBuilder,
  QueueTimeoutException,
  RetryLaterException,
} from '@nestmq/transport';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from '../app.js';
import { depth, HOMES, type Home, take } from '../homes.js';

const calls = new Collector<unknown>();

@Controller()
class Orders {
  @EventPattern<string>('order.flaky', { retry: { attempts: 3, delay: [1, 2] } })
  flaky(@Payload() id: number, @Ctx() context: QueueContext): void {
    calls.add([id, context.attempt]);
    if (context.attempt < 3) throw new Error('not yet');
  }
  @EventPattern('order.placed', { retry: { attempts: 2, delay: 1 } })
  placed(@Payload() data: { id: number; poison?: true }): void {
    calls.add(data.id);
    if (data.poison === true) throw new Error('poison');
  }
  @EventPattern<string>('order.by.hand')
  byHand(@Payload() how: string, @Ctx() context: QueueContext): void {
    calls.add([how, context.attempt, context.redelivered]);
    if (how === 'ack') context.ack();
    else if (how === 'reject') context.reject('not for us');
    else if (context.redelivered) context.ack();
    else if (how === 'nack') context.nack();
    else context.retry(1);
  }
  @EventPattern('order.refused', { retry: { attempts: 1 } })
  refused(_data: unknown): void {
    throw new RpcException('nobody saw this');
  }
  @EventPattern<string>('order.later')
  later(@Payload() id: number, @Ctx() context: QueueContext): void {
    calls.add([id, context.attempt]);
    if (context.attempt === 1) throw new RetryLaterException(5);
  }
  @MessagePattern('order.get')
  get(@Payload() id: number): number {
    return id;
  }
  @MessagePattern('order.pay')
  pay(@Payload() id: number): number {
    calls.add(['paid', id]);
    return id;
  }
}

describe.each(HOMES)('what fails, on %s', (_scheme, makeHome) => {
  let home: Home;
  let started: StartedApp;
  beforeEach(async () => {
    calls.items.length = 0;
    home = await makeHome();
    started = await startApp({ url: home.url, queue: 'orders' }, { controllers: [Orders] });
  });
  afterEach(async () => {
    await started.app.close();
    await home.remove();
  });
  const emit = (pattern: string, data: unknown): Promise<unknown> =>
    lastValueFrom(started.client.emit(pattern, data), { defaultValue: undefined });
  /** Everything before has been handled and settled, and the next message is. */
  const expectAlive = async (): Promise<void> => {
    expect(await firstValueFrom(started.client.send('order.get', 1))).toBe(1);
  };

  it('1. Retry for microservices rabbitMq: a handler names its attempts and the waits between them', async () => {
    await emit('order.flaky', 7);
    expect(await calls.until(3)).toEqual([
      [7, 1],
      [7, 2],
      [7, 3],
    ]);
    await started.server.drain();
    expect([await depth(started.server, 'orders'), await depth(started.server, 'orders.dead')]).toEqual([
      0, 0,
    ]);
  });

  it('2. Improve Kafka: a poison message does not block those behind it, and ends with the dead letters', async () => {
    await emit('order.placed', { id: 1, poison: true });
    for (const id of [2, 3]) await emit('order.placed', { id });
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter?.data).toEqual({ id: 1, poison: true });
    expect(calls.items.toSorted()).toEqual([1, 1, 2, 3]);
  });

  it('3. Keep unack messages in queue and disable requeue: what fails is never handed out in a hot loop', async () => {
    await emit('order.placed', { id: 1, poison: true });
    await take(started.server, 'orders.dead', 1);
    await expectAlive();
    expect(calls.items).toEqual([1, 1]);
  });

  it('4. Better ack handling of RabbitMQ messages: what a handler has done with is acked, with no option and no code', async () => {
    await emit('order.placed', { id: 1 });
    await calls.until(1);
    await started.server.drain();
    expect([await depth(started.server, 'orders'), await depth(started.server, 'orders.dead')]).toEqual([
      0, 0,
    ]);
  });

  it('5. Manually ack: the context settles, whatever the handler returns', async () => {
    for (const how of ['ack', 'reject', 'nack', 'retry']) await emit('order.by.hand', how);
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter).toMatchObject({ data: 'reject', headers: { 'x-nestmq-error-message': 'not for us' } });
    expect((await calls.until(6)).map((call) => JSON.stringify(call)).toSorted()).toEqual([
      '["ack",1,false]',
      '["nack",1,false]',
      '["nack",1,true]',
      '["reject",1,false]',
      '["retry",1,false]',
      '["retry",2,true]',
    ]);
    await started.server.drain();
    expect(await depth(started.server, 'orders')).toBe(0);
  });

  it('6. RpcException thrown from an @EventPattern handler is discarded with no signal: it is in the dead letter', async () => {
    await emit('order.refused', { id: 1 });
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter).toMatchObject({
      data: { id: 1 },
      headers: {
        'x-nestmq-error-message': 'nobody saw this',
        'x-nestmq-queue': 'orders',
        'x-nestmq-attempts': 1,
      },
    });
  });

  it('7. Nest application with RMQ connection may freeze: an unknown pattern is dead-lettered, and the next is handled', async () => {
    const link = started.server.unwrap<Link>();
    await link.bindQueue('orders', 'nestmq.events', 'order.unknown');
    await emit('order.unknown', { id: 1 });
    const [letter] = await take(started.server, 'orders.dead', 1);
    expect(letter).toMatchObject({ data: { id: 1 }, headers: { 'x-nestmq-reason': 'no-handler' } });
    await expectAlive();
  });

  it('17. Is there a reason why Delay isnt shipped with main rabbitmq: a handler puts a message off, with no plugin', async () => {
    await emit('order.later', 1);
    expect(await calls.until(2)).toEqual([
      [1, 1],
      [1, 2],
    ]);
  });

  it('17. … and so does who sends it', async () => {
    const sentAt = Date.now();
    await emit('order.placed', new QueueRecordBuilder({ id: 1 }).setDelay(30).build());
    expect(await calls.until(1)).toEqual([1]);
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(29);
  });

  it('26. Remove message on RabbitMQ request timeout: what its caller has given up is not handled later', async () => {
    const client = new QueueClient({ url: home.url, queue: 'web' });
    await client.connect();
    await started.app.close();
    const late = new QueueRecordBuilder(1).setTimeout(100).build();
    await expect(firstValueFrom(client.send('order.pay', late))).rejects.toThrow(QueueTimeoutException);
    while ((await client.unwrap<Link>().queueState('orders'))?.ready !== 0)
      await new Promise((resolve) => setImmediate(resolve));
    started = await startApp({ url: home.url, queue: 'orders' }, { controllers: [Orders] });
    expect(await firstValueFrom(client.send('order.pay', 2))).toBe(2);
    expect(calls.items).toEqual([['paid', 2]]);
    expect(await depth(started.server, 'orders.dead')).toBe(0);
    await client.close();
  });
});

describe('the waits between attempts', () => {
  it('1. "10 s x6, then every 15 min" is a list', async () => {
    const clock = new ManualClock();
    const starts: number[] = [];
    const attempts = new Collector<number>();
    @Controller()
    class Patient {
      @EventPattern<string>('order.placed', {
        retry: { attempts: 9, delay: [...TEN_SECONDS_SIX_TIMES, '15m'], jitter: 0 },
      })
      placed(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
        starts.push(clock.now());
        attempts.add(context.attempt);
        if (context.attempt < 9) throw new Error('not yet');
      }
    }
    const { app, client, server } = await startApp(
      { url: 'memory:patient', queue: 'orders', broker: { clock } },
      { controllers: [Patient] },
    );
    client.emit('order.placed', 1);
    for (let attempt = 1; attempt < 9; attempt++) {
      await attempts.until(attempt);
      await heldBack(server.unwrap<Link>());
      const wait = attempt <= 6 ? 10_000 : 900_000;
      clock.advance(wait - 1);
      expect(attempts.items).toHaveLength(attempt);
      clock.advance(1);
    }
    await attempts.until(9);
    expect(starts.map((start, i) => start - (starts[i - 1] ?? start)).slice(1)).toEqual([
      ...Array.from({ length: 6 }, () => 10_000),
      ...Array.from({ length: 2 }, () => 900_000),
    ]);
    await app.close();
  });
});

const TEN_SECONDS_SIX_TIMES = Array.from({ length: 6 }, () => '10s');

/** The message has been put off when nothing of its queue is with a handler any more. */
async function heldBack(link: Link): Promise<void> {
  while ((await link.queueState('orders'))?.unsettled !== 0)
    await new Promise((resolve) => setImmediate(resolve));
}
