import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { QueueAdmin, QueueContext, QueueHealthIndicator } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { type RabbitMq, startRabbitMq } from '../peers/rabbitmq.js';
import { Collector, type StartedApp, startApp } from './app.js';

const handled = new Collector<string>();
let broken = true;

@Controller()
class Orders {
  @EventPattern<string>('order.placed')
  bill(@Payload() id: number, @Ctx() { attempt }: QueueContext): void {
    if (broken) throw new TypeError(`bill ${id} is broken`);
    handled.add(`bill ${id} in attempt ${attempt}`);
  }
  @EventPattern<string>('order.placed')
  note(@Payload() id: number): void {
    handled.add(`note ${id}`);
  }
}

let rabbit: RabbitMq | undefined;
let started: StartedApp;
let admin: QueueAdmin;

beforeAll(async () => {
  rabbit = await startRabbitMq();
}, 120_000);
afterAll(() => rabbit?.stop());
beforeEach(async () => {
  if (rabbit === undefined) return;
  broken = true;
  handled.items.length = 0;
  started = await startApp(
    { url: rabbit.url, queue: 'ops', retry: { attempts: 1 } },
    { controllers: [Orders] },
  );
  admin = started.app.get(QueueAdmin);
});
afterEach(async () => {
  if (rabbit === undefined) return;
  await admin.purge('ops');
  await admin.purge('ops.dead');
  await started.app.close();
});

async function emit(...ids: number[]): Promise<void> {
  for (const id of ids)
    await lastValueFrom(started.client.emit('order.placed', id), { defaultValue: undefined });
}

async function until(queue: string, ready: number): Promise<void> {
  while ((await admin.depth(queue)).ready !== ready) await new Promise(setImmediate);
}

/** Of messages, in their order. */
const data = (messages: readonly { data: unknown }[]): unknown[] => messages.map((message) => message.data);

describe('QueueAdmin on RabbitMQ', () => {
  it('looks at dead letters, redrives some and leaves the others', async () => {
    if (rabbit === undefined) return;
    await emit(1, 2, 3, 4, 5, 6);
    await until('ops.dead', 6);
    expect(data(await admin.peek('ops.dead', { limit: 2, offset: 1 }))).toEqual([2, 3]);
    const letters = admin.deadLetters('ops');
    expect(await letters.list({ limit: 1 })).toEqual([
      expect.objectContaining({ pattern: 'order.placed', queue: 'ops', reason: 'attempts', attempts: 1 }),
    ]);
    broken = false;
    handled.items.length = 0;
    const even = { filter: ({ data: id }: { data: unknown }): boolean => Number(id) % 2 === 0 };
    expect(await letters.redrive(even)).toEqual({ count: 3, complete: true });
    expect(await handled.until(3)).toEqual([2, 4, 6].map((id) => `bill ${id} in attempt 1`));
    await until('ops.dead', 3);
    // Quorum queues put what is given back behind what was given back before.
    expect(data(await letters.list()).toSorted()).toEqual([1, 3, 5]);
    expect(await letters.discard({ limit: 2 })).toEqual({ count: 2, complete: false });
    await until('ops.dead', 1);
    expect(await letters.list()).toHaveLength(1);
  });

  it('leaves what was looked at as a whole in its order', async () => {
    if (rabbit === undefined) return;
    await emit(1, 2, 3);
    await until('ops.dead', 3);
    for (let time = 0; time < 3; time++)
      expect(data(await admin.deadLetters('ops').list())).toEqual([1, 2, 3]);
  });

  it('redrives to an end though each fails again at once, and loses none', async () => {
    if (rabbit === undefined) return;
    const ids = Array.from({ length: 200 }, (_, id) => id);
    await Promise.all(ids.map((id) => emit(id)));
    await until('ops.dead', ids.length);
    expect(await admin.deadLetters('ops').redrive()).toEqual({ count: ids.length, complete: true });
    await until('ops.dead', ids.length);
    const letters = await admin.deadLetters('ops').list({ limit: 1000 });
    expect(data(letters).toSorted((a, b) => Number(a) - Number(b))).toEqual(ids);
    expect(letters.every(({ redriven }) => redriven === 1)).toBe(true);
  });

  it('redrives after a delay', async () => {
    if (rabbit === undefined) return;
    await emit(1);
    await until('ops.dead', 1);
    broken = false;
    handled.items.length = 0;
    expect(await admin.deadLetters('ops').redrive({ delay: 500 })).toEqual({ count: 1, complete: true });
    expect(handled.items).toEqual([]);
    expect(await handled.until(1)).toEqual(['bill 1 in attempt 1']);
  });

  it('pauses and resumes', async () => {
    if (rabbit === undefined) return;
    broken = false;
    admin.pause('order.placed');
    while ((await admin.depth('ops')).consumers > 0) await new Promise(setImmediate);
    await emit(1);
    await until('ops', 1);
    expect(handled.items).toEqual([]);
    await admin.resume('order.placed');
    expect((await handled.until(2)).toSorted()).toEqual(['bill 1 in attempt 1', 'note 1']);
  });

  it('does not know queues that are not there', async () => {
    if (rabbit === undefined) return;
    await expect(admin.peek('nothing')).rejects.toThrow("There is no queue 'nothing'");
    await expect(admin.deadLetters('nothing').redrive()).rejects.toThrow("There is no queue 'nothing'");
  });
});

describe('QueueHealthIndicator on RabbitMQ', () => {
  it('is down when a queue was deleted under its consumer, and leaves no queue behind', async () => {
    if (rabbit === undefined) return;
    const health = started.app.get(QueueHealthIndicator);
    const queues = (): string[] =>
      String(rabbit?.ctl('list_queues', '--silent', 'name'))
        .split('\n')
        .toSorted();
    const before = queues();
    for (let asked = 0; asked < 20; asked++)
      expect(await health.isHealthy()).toMatchObject({ queue: { status: 'up' } });
    expect(queues()).toEqual(before);
    rabbit.ctl('delete_queue', 'ops');
    for (;;) {
      const { queue } = await health.isHealthy();
      if (queue.status === 'down') {
        expect(queue.message).toContain("'ops'");
        break;
      }
      await new Promise(setImmediate);
    }
    await started.app.close();
    started = await startApp({ url: rabbit.url, queue: 'ops' }, { controllers: [Orders] });
    admin = started.app.get(QueueAdmin);
  });

  it('is down while the broker is away, and up when it is back', async () => {
    if (rabbit === undefined) return;
    const health = started.app.get(QueueHealthIndicator);
    rabbit.ctl('stop_app');
    let status = 'up';
    while (status === 'up') {
      ({ status } = (await health.isHealthy()).queue);
      await new Promise(setImmediate);
    }
    rabbit.ctl('start_app');
    while (status === 'down') {
      ({ status } = (await health.isHealthy()).queue);
      await new Promise(setImmediate);
    }
    expect(status).toBe('up');
  }, 90_000);
});
