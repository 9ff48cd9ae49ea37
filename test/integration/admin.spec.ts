import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ManualClock, type Message } from '@nestmq/broker';
import {
  type Link,
  QueueAdmin,
  QueueContext,
  QueueNotFoundException,
  QueueOptionsException,
} from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

const handled = new Collector<string>();
let broken = true;
let lastContext: QueueContext | undefined;

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  bill(@Payload() id: number, @Ctx() context: QueueContext): void {
    lastContext = context;
    if (broken) throw new TypeError(`bill ${id} is broken`);
    handled.add(`bill ${id} in attempt ${context.attempt}`);
  }
  @EventPattern('order.*')
  note(@Payload() id: number): void {
    handled.add(`note ${id}`);
  }
  @EventPattern('parcel.sent', { queue: 'parcels' })
  ship(@Payload() id: number): void {
    handled.add(`ship ${id}`);
  }
}

let started: StartedApp;
let admin: QueueAdmin;
const clock = new ManualClock();

beforeEach(async () => {
  broken = true;
  handled.items.length = 0;
  started = await startApp(
    { url: 'memory:admin', queue: 'orders', retry: { attempts: 1 }, broker: { clock } },
    { controllers: [Orders] },
  );
  admin = started.app.get(QueueAdmin);
  await started.client.connect();
});
afterEach(async () => {
  await started.app.close();
});

async function emit(pattern: string, ...all: unknown[]): Promise<void> {
  for (const data of all)
    await lastValueFrom(started.client.emit(pattern, data), { defaultValue: undefined });
}

/** Resolves when a queue has that many messages, none of them in a handler. */
async function until(queue: string, ready: number): Promise<void> {
  for (;;) {
    const depth = await admin.depth(queue);
    if (depth.ready === ready && depth.unsettled === 0) return;
    await new Promise(setImmediate);
  }
}

/** Puts a message straight into a queue. */
function put(queue: string, message: Partial<Message>): Promise<void> {
  const whole = { exchange: '', routingKey: queue, properties: {}, body: Buffer.from('1'), ...message };
  return new Promise((resolve, reject) => {
    const done = (error?: Error): void => (error === undefined ? resolve() : reject(error));
    started.client.unwrap<Link>().publish(whole, done);
  });
}

describe('QueueAdmin', () => {
  it('lists the queues of the service, with their figures, patterns and dead letters', async () => {
    await emit('order.placed', 1, 2);
    await until('orders.dead', 2);
    await until('orders', 0);
    expect(await admin.queues()).toEqual([
      {
        name: 'orders',
        depth: { name: 'orders', ready: 0, unsettled: 0, consumers: 1 },
        patterns: ['order.placed', 'order.*'],
        isPaused: false,
        deadLetters: [{ name: 'orders.dead', ready: 2, unsettled: 0, consumers: 0 }],
      },
      expect.objectContaining({ name: 'parcels', patterns: ['parcel.sent'] }),
    ]);
  });

  it('shows what waits, decoded, and leaves it where it is', async () => {
    admin.pause('parcels');
    await emit('parcel.sent', { id: 1 }, { id: 2 }, { id: 3 });
    const seen = await admin.peek('parcels', { limit: 1, offset: 1 });
    expect(seen).toEqual([
      expect.objectContaining({ pattern: 'parcel.sent', data: { id: 2 }, attempt: 1, headers: {} }),
    ]);
    expect(seen[0]?.messageId).toMatch(/^[0-9a-f-]{36}$/);
    expect((await admin.peek('parcels')).map(({ data }) => data)).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
    expect((await admin.depth('parcels')).ready).toBe(3);
  });

  it('shows what can not be read as the bytes that it is', async () => {
    admin.pause('parcels');
    await emit('parcel.sent', 1);
    const body = Buffer.from('{"broken');
    await put('parcels', { body, properties: { headers: { 'x-death': 'nonsense', 'x-nestmq-queue': 7 } } });
    const [, second] = await admin.peek('parcels');
    expect(second).toMatchObject({ pattern: 'parcels', data: body, messageId: '', attempt: 1 });
    expect(second?.unreadable).toMatch(/JSON/);
  });

  it('empties a queue', async () => {
    admin.pause('parcels');
    await emit('parcel.sent', 1, 2);
    expect(await admin.purge('parcels')).toBe(2);
    expect((await admin.depth('parcels')).ready).toBe(0);
  });

  it.each(['depth', 'peek', 'purge'] as const)(
    'tells which queues there are when %s names none',
    async (method) => {
      await expect(admin[method]('order')).rejects.toThrow(
        "There is no queue 'order'. This service has: orders, orders.dead, parcels, parcels.dead.",
      );
    },
  );

  it.each<object>([{ limit: 0 }, { limit: 1.5 }, { limit: 1001 }, { offset: -1 }, { limt: 5 }])(
    'refuses %p of peek',
    async (options) => {
      await expect(admin.peek('orders', options)).rejects.toThrow(QueueOptionsException);
    },
  );

  it('pauses a handler by its pattern, and resumes it: what comes meanwhile waits', async () => {
    admin.pause('parcel.sent');
    admin.pause('parcels');
    expect([admin.isPaused('parcel.sent'), admin.isPaused('parcels'), admin.isPaused('orders')]).toEqual([
      true,
      true,
      false,
    ]);
    await emit('parcel.sent', 1);
    await emit('order.sent', 2);
    expect(await handled.until(1)).toEqual(['note 2']);
    expect(await admin.depth('parcels')).toMatchObject({ ready: 1, consumers: 0 });
    await admin.resume('parcel.sent');
    await admin.resume('parcels');
    expect(await handled.until(2)).toEqual(['note 2', 'ship 1']);
    expect(await admin.depth('parcels')).toMatchObject({ consumers: 1 });
    expect(admin.isPaused('parcels')).toBe(false);
  });

  it('has one consumer at the end of many pauses and resumptions at once', async () => {
    const all: Promise<void>[] = [];
    for (let i = 0; i < 20; i++) {
      admin.pause('parcels');
      all.push(admin.resume('parcels'));
    }
    await Promise.all(all);
    expect(await admin.depth('parcels')).toMatchObject({ consumers: 1 });
    admin.pause('parcels');
    expect(await admin.depth('parcels')).toMatchObject({ consumers: 0 });
  });

  it('says what there is to pause when it is asked for something else', () => {
    const known = 'orders, parcels, order.placed, order.*, parcel.sent';
    expect(() => admin.pause('order.plcaed')).toThrow(
      new QueueNotFoundException("queue or pattern 'order.plcaed'", known.split(', ')),
    );
  });

  it('says that it is closed when it is', async () => {
    await started.app.close();
    await expect(admin.queues()).rejects.toThrow(/is not open/);
  });
});

describe('dead letters', () => {
  it('tell what they are and why', async () => {
    await emit('order.placed', 7);
    await until('orders.dead', 1);
    const [letter] = await admin.deadLetters('orders').list();
    expect(letter).toMatchObject({
      pattern: 'order.placed',
      data: 7,
      queue: 'orders',
      reason: 'attempts',
      attempts: 1,
      attempt: 1,
      error: { name: 'TypeError', message: 'bill 7 is broken', stack: expect.stringContaining('Orders') },
      redriven: 0,
      deadAt: new Date(clock.now()),
    });
    expect((await admin.depth('orders.dead')).ready).toBe(1);
  });

  it('are listed up to a limit, by a filter, in their order', async () => {
    await emit('order.placed', 1, 2, 3, 4, 5);
    await until('orders.dead', 5);
    const odd = await admin
      .deadLetters('orders')
      .list({ limit: 2, filter: ({ data }) => Number(data) % 2 === 1 });
    expect(odd.map(({ data }) => data)).toEqual([1, 3]);
    const all = await admin.deadLetters('orders').list();
    expect(all.map(({ data }) => data)).toEqual([1, 2, 3, 4, 5]);
  });

  it('are redriven to the handlers that had failed, with all attempts before them', async () => {
    await emit('order.placed', 1);
    await until('orders.dead', 1);
    broken = false;
    expect(await admin.deadLetters('orders').redrive()).toEqual({ count: 1, complete: true });
    expect(await handled.until(2)).toEqual(['note 1', 'bill 1 in attempt 1']);
    await until('orders', 0);
    expect(await admin.depth('orders.dead')).toMatchObject({ ready: 0, unsettled: 0 });
    expect(lastContext?.pattern).toBe('order.placed');
    expect(lastContext?.headers).toEqual({
      'x-nestmq-exchange': 'nestmq.events',
      'x-nestmq-routing-key': 'order.placed',
      'x-nestmq-handlers': ['order.placed@0'],
      'x-nestmq-redriven': 1,
      'x-nestmq-redrive': expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  it('count how often they have come back', async () => {
    await emit('order.placed', 1);
    await until('orders.dead', 1);
    await admin.deadLetters('orders').redrive();
    await until('orders.dead', 1);
    await admin.deadLetters('orders').redrive({ filter: ({ redriven }) => redriven === 1 });
    await until('orders.dead', 1);
    expect(await admin.deadLetters('orders').list()).toEqual([
      expect.objectContaining({
        redriven: 2,
        attempts: 1,
        error: expect.objectContaining({ name: 'TypeError' }),
      }),
    ]);
  });

  it('that are not chosen stay in their places', async () => {
    await emit('order.placed', 1, 2, 3, 4, 5, 6);
    await until('orders.dead', 6);
    broken = false;
    const result = await admin
      .deadLetters('orders')
      .redrive({ limit: 2, filter: async ({ data }) => Number(data) % 2 === 0 });
    expect(result).toEqual({ count: 2, complete: false });
    const left = await admin.deadLetters('orders').list();
    expect(left.map(({ data }) => data)).toEqual([1, 3, 5, 6]);
  });

  it('are redriven to an end, also when each fails again at once', async () => {
    const ids = Array.from({ length: 250 }, (_, id) => id);
    await emit('order.placed', ...ids);
    await until('orders.dead', ids.length);
    expect(await admin.deadLetters('orders').redrive()).toEqual({ count: ids.length, complete: true });
    await until('orders.dead', ids.length);
    const letters = await admin.deadLetters('orders').list({ limit: 1000 });
    expect(letters.map(({ data }) => data)).toEqual(ids);
    expect(letters.every(({ redriven }) => redriven === 1)).toBe(true);
  });

  it('wait before they come to their handler, if asked', async () => {
    await emit('order.placed', 1);
    await until('orders.dead', 1);
    broken = false;
    await admin.deadLetters('orders').redrive({ delay: '10m' });
    expect(handled.items).toEqual(['note 1']);
    clock.advance(600_000);
    expect(await handled.until(2)).toEqual(['note 1', 'bill 1 in attempt 1']);
  });

  it('are all there after a filter that throws', async () => {
    await emit('order.placed', 1, 2, 3);
    await until('orders.dead', 3);
    const filter = ({ data }: { data: unknown }): boolean => {
      if (data === 3) throw new Error('what is 3?');
      return false;
    };
    await expect(admin.deadLetters('orders').redrive({ filter })).rejects.toThrow('what is 3?');
    const left = await admin.deadLetters('orders').list();
    expect(left.map(({ data }) => data)).toEqual([1, 2, 3]);
  });

  it('stay where they are when their queue is gone', async () => {
    await emit('order.placed', 1, 2);
    await until('orders.dead', 2);
    await started.client.unwrap<Link>().deleteQueue('orders');
    await expect(admin.deadLetters('orders').redrive()).rejects.toThrow(/Nothing is bound/);
    expect((await admin.depth('orders.dead')).ready).toBe(2);
  });

  it('are discarded for good', async () => {
    await emit('order.placed', 1, 2, 3);
    await until('orders.dead', 3);
    const letters = admin.deadLetters('orders');
    expect(await letters.discard({ filter: ({ data }) => data !== 2 })).toEqual({ count: 2, complete: true });
    expect((await letters.list()).map(({ data }) => data)).toEqual([2]);
  });

  it('that came straight to their queue go there again, and are what they were', async () => {
    const packet = { pattern: 'parcel.lost', data: 5 };
    await put('parcels', {
      body: Buffer.from(JSON.stringify(packet)),
      properties: { headers: { mine: 'yes' } },
    });
    await until('parcels.dead', 1);
    const letters = admin.deadLetters('parcels');
    expect(await letters.list()).toEqual([
      expect.objectContaining({ pattern: 'parcel.lost', data: 5, reason: 'no-handler', queue: 'parcels' }),
    ]);
    admin.pause('parcels');
    await letters.redrive();
    const [back] = await admin.peek('parcels');
    expect(back).toMatchObject({ pattern: 'parcel.lost', data: 5, headers: { mine: 'yes' } });
    expect(Object.keys(back?.headers ?? {}).filter((key) => key.startsWith('x-nestmq'))).toEqual([
      'x-nestmq-routing-key',
      'x-nestmq-exchange',
      'x-nestmq-redriven',
      'x-nestmq-redrive',
    ]);
  });

  it('of a queue that is there, of whatever service, may be none', async () => {
    const letters = admin.deadLetters('orders.dead');
    expect(await letters.list()).toEqual([]);
    expect(await letters.redrive()).toEqual({ count: 0, complete: true });
  });

  it.each<object>([{ limit: 0 }, { delay: '-1s' }, { delay: '31d' }, { fliter: 1 }])(
    'are not redriven with %p',
    async (options) => {
      await expect(admin.deadLetters('orders').redrive(options)).rejects.toThrow(QueueOptionsException);
    },
  );
});
