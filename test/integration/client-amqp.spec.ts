import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { TestBroker } from '@nestmq/testing';
import {
  QueueClient,
  type QueueClientStatus,
  type QueueOptions,
  QueueRecord,
  QueueUnavailableException,
} from '@nestmq/transport';
import { filter, firstValueFrom, NEVER } from 'rxjs';
import { startProxy, type TcpProxy } from '../peers/tcp-proxy.js';
import { Collector, type StartedApp, startApp } from './app.js';

const events = new Collector<unknown>();
const asked = new Collector<unknown>();

@Controller()
class Orders {
  @MessagePattern('echo')
  echo(@Payload() data: unknown): unknown {
    return data;
  }
  @MessagePattern('never')
  never(@Payload() data: unknown): unknown {
    asked.add(data);
    return NEVER;
  }
  @EventPattern('order.placed')
  placed(@Payload() data: unknown): void {
    events.add(data);
  }
}

describe('a client whose broker goes away', () => {
  let broker: TestBroker;
  let started: StartedApp;
  let proxy: TcpProxy;
  let client: QueueClient;
  const status = async (wanted: QueueClientStatus): Promise<QueueClientStatus> =>
    firstValueFrom(client.status.pipe(filter((one) => one === wanted)));
  const start = async (options: Partial<QueueOptions> = {}): Promise<void> => {
    client = new QueueClient({
      url: `amqp://guest:guest@127.0.0.1:${proxy.port}`,
      amqp: { reconnect: { minDelay: 10, maxDelay: 20 } },
      ...options,
    });
    await client.connect();
  };
  beforeEach(async () => {
    events.items.length = 0;
    asked.items.length = 0;
    broker = await TestBroker.start({ listen: true });
    started = await startApp({ url: broker.url, queue: 'orders', gracePeriod: 0 }, { controllers: [Orders] });
    proxy = await startProxy(Number(new URL(broker.amqpUrl).port));
  });
  afterEach(async () => {
    await client.close();
    await started.app.close();
    await proxy.close();
    await broker.stop();
  });

  it('fails what waits for an answer, and goes on when it is back: requests and events that waited, in order', async () => {
    await start();
    expect(await firstValueFrom(client.send('echo', 1))).toBe(1);
    const [unanswered] = await Promise.allSettled([
      firstValueFrom(client.send('never', 1)),
      asked.until(1).then(() => proxy.refuse(true)),
    ]);
    expect(unanswered).toMatchObject({ reason: expect.any(QueueUnavailableException) as unknown });
    await status('disconnected');
    const answers = Promise.all([2, 3].map(async (data) => firstValueFrom(client.send('echo', data))));
    const emitted = Promise.all(
      [4, 5].map(async (data) => firstValueFrom(client.emit('order.placed', data))),
    );
    proxy.refuse(false);
    await status('connected');
    expect(await answers).toEqual([2, 3]);
    await emitted;
    expect((await events.until(2)).slice(0, 2)).toEqual([4, 5]);
  });

  it('tells a request that could not be sent in time that it was not', async () => {
    await start();
    proxy.refuse(true);
    await status('disconnected');
    const answer = firstValueFrom(client.send('echo', new QueueRecord(1, { timeout: 20 })));
    await expect(answer).rejects.toThrow('The broker was away for 20 ms, and the request was not sent.');
  });

  it('has room for others when requests were given up or came to their end meanwhile', async () => {
    await start();
    proxy.refuse(true);
    await status('disconnected');
    const late = firstValueFrom(client.send('echo', new QueueRecord(1, { timeout: 1 })));
    for (let i = 0; i < 9999; i++) client.send('never', i).subscribe().unsubscribe();
    await expect(late).rejects.toThrow('was away for 1 ms');
    const waiting = Array.from({ length: 10_000 }, async (_, i) => firstValueFrom(client.send('echo', i)));
    const [one, ...others] = waiting;
    await expect(firstValueFrom(client.send('echo', 'one more'))).rejects.toThrow('10000 messages wait');
    const ended = Promise.allSettled(others);
    proxy.refuse(false);
    expect(await one).toBe(0);
    await client.close();
    await ended;
  });

  it.each(['its link is there', 'its link is set up'])(
    'is closed at once, though that is asked in the moment in which %s and the broker goes',
    async (moment) => {
      client = new QueueClient({ url: `amqp://guest:guest@127.0.0.1:${proxy.port}` });
      const closed = new Promise((resolve) => {
        client.on('connect', () => {
          const close = (): void => {
            proxy.refuse(true);
            proxy.cut();
            resolve(client.close());
          };
          if (moment === 'its link is there') close();
          else setImmediate(close);
        });
      });
      await expect(client.connect()).rejects.toThrow(/closed|ended/);
      expect(await closed).toBeUndefined();
      await proxy.idle();
    },
  );

  it('forgets requests that were given up meanwhile', async () => {
    await start();
    proxy.refuse(true);
    await status('disconnected');
    client.send('never', 'given up').subscribe().unsubscribe();
    proxy.refuse(false);
    await status('connected');
    expect(await firstValueFrom(client.send('echo', 1))).toBe(1);
    expect(asked.items).toEqual([]);
  });
});
