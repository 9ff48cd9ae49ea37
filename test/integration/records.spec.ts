import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RmqRecordBuilder } from '@nestjs/microservices';
import { ManualClock, type MessageProperties } from '@nestmq/broker';
import { TestBroker } from '@nestmq/testing';
import {
  NoHandlerException,
  QueueClient,
  QueueContext,
  QueueRecord,
  QueueRecordBuilder,
  type QueueRecordOptions,
} from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

interface Seen {
  readonly data: unknown;
  readonly properties: MessageProperties;
}

const seen = new Collector<Seen>();

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  placed(@Payload() data: unknown, @Ctx() context: QueueContext): void {
    seen.add({ data, properties: context.getMessage().properties });
  }
  @MessagePattern<string>('order.get')
  get(@Payload() data: unknown, @Ctx() context: QueueContext): unknown {
    const { headers, priority, messageId } = context.getMessage().properties;
    return { data, headers, priority, messageId };
  }
}

describe('a record', () => {
  let broker: TestBroker;
  let started: StartedApp;
  const emit = async (options: QueueRecordOptions): Promise<Seen | undefined> => {
    await firstValueFrom(started.client.emit('order.placed', new QueueRecord({ id: 7 }, options)));
    return (await seen.until(1))[0];
  };
  beforeEach(async () => {
    seen.items.length = 0;
    broker = await TestBroker.start();
    started = await startApp({ url: broker.url, queue: 'orders' }, { controllers: [Orders] });
  });
  afterEach(async () => {
    await started.app.close();
    await broker.stop();
  });

  it('says what an event is sent with, and its data is what handlers get', async () => {
    const one = await emit({
      headers: { tenant: 'a' },
      priority: 3,
      expiration: '1m',
      deduplicationId: 'order-7',
      orderingKey: 'customer-1',
      correlationId: 'c',
      persistent: false,
      mandatory: true,
    });
    expect(one?.data).toEqual({ id: 7 });
    expect(one?.properties).toMatchObject({
      contentType: 'application/json',
      deliveryMode: 1,
      priority: 3,
      expiration: '60000',
      messageId: 'order-7',
      correlationId: 'c',
    });
    expect(one?.properties.headers).toEqual({
      tenant: 'a',
      'x-deduplication-header': 'order-7',
      'x-nestmq-ordering-key': 'customer-1',
    });
  });

  it('of a few options leaves the others as they are', async () => {
    const one = await emit({ priority: 1 });
    expect(one?.properties).toMatchObject({ deliveryMode: 2, priority: 1, timestamp: expect.any(Number) });
    expect(one?.properties.messageId).toMatch(/^[0-9a-f-]{36}$/);
    expect(one?.properties).not.toHaveProperty('headers');
  });

  it('has headers beside those of a dispatch hook, and before them', async () => {
    started.client.setOnDispatchHook((packet) => {
      packet.metadata = { trace: 't', tenant: 'hook' };
    });
    const one = await emit({ headers: { tenant: 'record' } });
    expect(one?.properties.headers).toEqual({ trace: 't', tenant: 'record' });
  });

  it('may be Nest’s RmqRecord', async () => {
    const record = new RmqRecordBuilder({ id: 7 }).setOptions({ priority: 2, headers: { a: 'x' } }).build();
    await firstValueFrom(started.client.emit('order.placed', record));
    const [one] = await seen.until(1);
    expect(one).toMatchObject({ data: { id: 7 }, properties: { priority: 2, headers: { a: 'x' } } });
    const other = new RmqRecordBuilder(1).setOptions({ BCC: 'x' }).build();
    await expect(firstValueFrom(started.client.emit('order.placed', other))).rejects.toThrow(
      "unknown option 'BCC'",
    );
    await expect(firstValueFrom(started.client.send('order.get', other))).rejects.toThrow(
      "unknown option 'BCC'",
    );
  });

  it('says what a request is sent with', async () => {
    const options = { headers: { a: 1 }, priority: 2, messageId: 'm', correlationId: 'mine' };
    const answer = await firstValueFrom(
      started.client.send('order.get', new QueueRecord({ id: 7 }, options)),
    );
    expect(answer).toEqual({ data: { id: 7 }, headers: { a: 1 }, priority: 2, messageId: 'm' });
  });

  it('that is mandatory fails when nobody has subscribed', async () => {
    const record = new QueueRecordBuilder(1).setMandatory(true).build();
    await expect(firstValueFrom(started.client.emit('nobody', record))).rejects.toThrow(NoHandlerException);
    await firstValueFrom(started.client.emit('nobody', 1));
  });

  it('of an event has no timeout, and of a request no delay', async () => {
    const timeout = new QueueRecord(1, { timeout: 5 });
    await expect(firstValueFrom(started.client.emit('order.placed', timeout))).rejects.toThrow(
      "It is for 'send'",
    );
    for (const options of [{ delay: 0 }, { scheduleAt: 5 }]) {
      const request = started.client.send('order.get', new QueueRecord(1, options));
      await expect(firstValueFrom(request)).rejects.toThrow(
        "The record of a request has 'delay' or 'scheduleAt'.",
      );
    }
  });
});

describe('a record that is delayed', () => {
  it.each<[string, (now: number) => QueueRecordOptions]>([
    ['delay', () => ({ delay: '1h' })],
    ['scheduleAt', (now) => ({ scheduleAt: new Date(now + 3_600_000) })],
  ])('comes when it is due, and tells when that is: %s', async (_key, optionsAt) => {
    seen.items.length = 0;
    const clock = new ManualClock();
    const options = { url: 'memory:delayed-records', queue: 'orders', broker: { clock } };
    const { app, client } = await startApp(options, { controllers: [Orders] });
    const record = new QueueRecord('late', optionsAt(clock.now()));
    const dueAt = clock.now() + 3_600_000;
    await firstValueFrom(client.emit('order.placed', record));
    await firstValueFrom(client.emit('order.placed', 'now'));
    expect((await seen.until(1)).map(({ data }) => data)).toEqual(['now']);
    clock.advance(3_599_999);
    await firstValueFrom(client.emit('order.placed', 'still before'));
    expect((await seen.until(2)).map(({ data }) => data)).toEqual(['now', 'still before']);
    clock.advance(1);
    const [, , late] = await seen.until(3);
    expect(late?.data).toBe('late');
    expect(late?.properties.headers).toMatchObject({ 'x-nestmq-due-at': dueAt });
    await app.close();
  });
});

describe('a record through Nest’s own ways to a client', () => {
  it('is understood: a QueueClient as customClass', async () => {
    seen.items.length = 0;
    const broker = await TestBroker.start();
    const { ClientsModule, ClientProxy } = await import('@nestjs/microservices');
    const clients = ClientsModule.register([
      { name: 'ORDERS', customClass: QueueClient, options: { url: broker.url } },
    ]);
    const { app } = await startApp(
      { url: broker.url, queue: 'orders' },
      { controllers: [Orders], imports: [clients] },
    );
    const client = app.get<InstanceType<typeof ClientProxy>>('ORDERS');
    await firstValueFrom(client.emit('order.placed', new QueueRecordBuilder(1).setPriority(4).build()));
    expect((await seen.until(1))[0]?.properties.priority).toBe(4);
    await app.close();
    await broker.stop();
  });
});
