import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ManualClock, createServer } from '@nestmq/broker';
import { type Link, QueueContext, type QueueOptions } from '@nestmq/transport';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { Collector, type StartedApp, startApp } from './app.js';

const MINUTE_MS = 60_000;

interface Home {
  readonly url: string;
  stop(): Promise<void>;
}

const homes: [name: string, start: () => Promise<Home | undefined>][] = [
  [
    'our broker by amqp:',
    async () => {
      const server = await createServer({ port: 0 });
      return { url: `amqp://guest:guest@127.0.0.1:${server.port}`, stop: () => server.close() };
    },
  ],
  ['RabbitMQ', startRabbitMq],
];

describe.each(homes)('a fleet on %s', (_name, start) => {
  let home: Home | undefined;
  beforeAll(async () => {
    home = await start();
  }, 120_000);
  afterAll(() => home?.stop());

  const seen = new Collector<[instance: string, id: string]>();

  function working(instance: string) {
    @Controller()
    class Working {
      @EventPattern<string>('tick', { schedule: '* * * * *' })
      tick(@Ctx() context: QueueContext): void {
        seen.add([instance, context.messageId.slice(-24)]);
      }
      @EventPattern<string>('paid', { deduplication: true })
      paid(@Payload() _data: unknown, @Ctx() context: QueueContext): void {
        seen.add([instance, context.messageId]);
      }
    }
    return Working;
  }

  const linkOf = ({ server }: StartedApp): Link => server.unwrap<Link>();

  function publish(app: StartedApp, messageId: string): Promise<void> {
    const message = {
      exchange: 'nestmq.events',
      routingKey: 'paid',
      properties: { messageId, deliveryMode: 2 },
      body: Buffer.from('1'),
    };
    return new Promise((resolve, reject) => {
      linkOf(app).publish(message, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Some ways to the broker and back. */
  async function turns(link: Link): Promise<void> {
    for (let turn = 0; turn < 10; turn++) await link.queueState('nowhere');
  }

  function fleet(options: Partial<QueueOptions> = {}): (instance: string) => Promise<StartedApp> {
    seen.items.length = 0;
    const queue = `q-${randomUUID()}`;
    return (instance) =>
      startApp(
        { url: home?.url as string, queue, ...options },
        {
          controllers: [working(instance)],
        },
      );
  }

  it('handles what it has handled no more, in any instance, before and after a restart', async () => {
    if (home === undefined) return;
    const begin = fleet();
    const first = await begin('a');
    for (const id of ['1', '2', '1', '2', '3']) await publish(first, id);
    await seen.until(3);
    const second = await begin('b');
    await first.app.close();
    for (const id of ['1', '2', '3', '4']) await publish(second, id);
    await seen.until(4);
    await second.app.close();
    const third = await begin('c');
    for (const id of ['4', '3', '5']) await publish(third, id);
    await seen.until(5);
    await third.app.close();
    expect(seen.items.filter(([instance]) => instance !== 'a')).toEqual([
      ['b', '4'],
      ['c', '5'],
    ]);
  });

  it('emits once at each time, and goes on with the next instance when the first is gone', async () => {
    if (home === undefined) return;
    const clock = new ManualClock();
    const begin = fleet({ broker: { clock } });
    const first = await begin('a');
    const second = await begin('b');
    while (seen.items.length < 3) {
      clock.advance(MINUTE_MS);
      await turns(linkOf(second));
    }
    // Without a drain.
    await linkOf(first).close();
    const before = seen.items.length;
    while (seen.items.length < before + 3) {
      clock.advance(MINUTE_MS);
      await turns(linkOf(second));
    }
    await Promise.all([first.app.close(), second.app.close()]);
    const ids = seen.items.map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(ids.toSorted());
  });
});
