import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { Concurrency, HandlerTimeout, QueueContext, RateLimit } from '@nestmq/transport';
import { firstValueFrom, toArray } from 'rxjs';
import { Collector, type StartedApp, startApp } from '../app.js';
import { type Deferred, deferred, emitAll, linkOf, pass, settled } from './support.js';

let clock: ManualClock;
let started: StartedApp | undefined;
let memory = 0;
const began = new Collector<unknown>();
let ends: Deferred[] = [];

const options = () => ({ url: `memory:lanes-${++memory}`, queue: 'q', broker: { clock } });
const untilEnd = (data: unknown): Promise<void> => {
  began.add(data);
  ends.push(deferred());
  return (ends.at(-1) as Deferred).promise;
};

beforeEach(() => {
  clock = new ManualClock();
  began.items.length = 0;
  ends = [];
});
afterEach(async () => {
  for (const { resolve } of ends) resolve();
  await started?.app.close();
  started = undefined;
});

@Controller()
class Limited {
  @EventPattern('slow')
  @Concurrency(2)
  slow(@Payload() data: unknown): Promise<void> {
    return untilEnd(data);
  }
  @EventPattern('free')
  free(@Payload() data: unknown): void {
    began.add(data);
  }
  @MessagePattern('asked')
  @Concurrency(1)
  async asked(@Payload() data: unknown): Promise<unknown> {
    await untilEnd(data);
    return data;
  }
  @EventPattern('rated')
  @RateLimit({ max: 2, per: '10s' })
  rated(@Payload() data: unknown): void {
    began.add([data, clock.now() - Date.UTC(2026, 0, 1)]);
  }
  @MessagePattern('rated.answer', { rateLimit: { max: 1 } })
  ratedAnswer(@Payload() data: unknown): unknown {
    began.add(data);
    return data;
  }
}

describe('concurrency', () => {
  it('bounds what runs of a handler at once, and holds no other handler of its queue back', async () => {
    started = await startApp(options(), { controllers: [Limited] });
    await emitAll(started, 'slow', [1, 2, 3, 4]);
    await emitAll(started, 'free', ['free']);
    await settled();
    expect(began.items).toEqual(expect.arrayContaining([1, 2, 'free']));
    expect(began.items).toHaveLength(3);
    ends[1]?.resolve();
    await began.until(4);
    ends[0]?.resolve();
    await began.until(5);
    expect(began.items.filter((one) => one !== 'free')).toEqual([1, 2, 3, 4]);
  });

  it('bounds requests as well', async () => {
    started = await startApp(options(), { controllers: [Limited] });
    const { client } = started;
    const answers = [1, 2].map((data) => firstValueFrom(client.send('asked', data)));
    await settled();
    expect(began.items).toEqual([1]);
    ends[0]?.resolve();
    expect(await answers[0]).toBe(1);
    await began.until(2);
    ends[1]?.resolve();
    expect(await answers[1]).toBe(2);
  });

  it('gives back at once what has not begun, when the service stops', async () => {
    started = await startApp(options(), { controllers: [Limited] });
    await emitAll(started, 'slow', [1, 2, 3, 4]);
    await settled();
    const link = linkOf(started);
    const drained = started.server.drain();
    await settled();
    expect(await link.queueState('q')).toMatchObject({ ready: 2, unsettled: 2 });
    for (const { resolve } of ends) resolve();
    await drained;
    expect(await link.queueState('q')).toMatchObject({ ready: 2, unsettled: 0 });
    expect(began.items).toEqual([1, 2]);
  });
});

describe('a rate limit', () => {
  it('lets no more start in any time of that length', async () => {
    started = await startApp(options(), { controllers: [Limited] });
    await emitAll(started, 'rated', ['a', 'b', 'c', 'd', 'e']);
    await settled();
    await pass(clock, 20_000, 2500);
    expect(began.items).toEqual([
      ['a', 0],
      ['b', 0],
      ['c', 10_000],
      ['d', 10_000],
      ['e', 20_000],
    ]);
  });

  it('holds requests back', async () => {
    started = await startApp(options(), { controllers: [Limited] });
    const { client } = started;
    const answers = [1, 2].map((data) => firstValueFrom(client.send('rated.answer', data)));
    expect(await answers[0]).toBe(1);
    await settled();
    expect(began.items).toEqual([1]);
    clock.advance(1000);
    expect(await answers[1]).toBe(2);
  });

  it('is not waited for by a service that stops', async () => {
    started = await startApp(options(), { controllers: [Limited] });
    await emitAll(started, 'rated', [1, 2, 3, 4, 5]);
    await settled();
    const link = linkOf(started);
    await started.server.drain();
    expect(await link.queueState('q')).toMatchObject({ ready: 3, unsettled: 0 });
    clock.advance(60_000);
    await settled();
    expect(began.items).toHaveLength(2);
  });
});

describe('a request that takes longer than its handler may', () => {
  @Controller()
  class Slow {
    @MessagePattern<string>('slow')
    @HandlerTimeout('5s')
    async slow(@Payload() data: unknown, @Ctx() context: QueueContext): Promise<unknown> {
      await untilEnd([data, context.signal]);
      return data;
    }
  }

  it('is answered with the error, and with nothing after that', async () => {
    started = await startApp(options(), { controllers: [Slow] });
    const answer = firstValueFrom(started.client.send('slow', 1).pipe(toArray()));
    const [[, signal]] = (await began.until(1)) as [[number, AbortSignal]];
    clock.advance(5000);
    await expect(answer).rejects.toMatchObject({
      name: 'HandlerTimeoutException',
      message: expect.stringContaining("'slow' took longer than 5000 ms"),
    });
    expect(signal.aborted).toBe(true);
    ends[0]?.resolve();
    await settled();
    expect(await linkOf(started).queueState('q')).toMatchObject({ ready: 0, unsettled: 0 });
  });
});

describe('priority', () => {
  @Controller()
  class Urgent {
    @EventPattern('job', { priority: 9, prefetchCount: 1 })
    job(@Payload() data: unknown): void {
      began.add(data);
    }
  }

  it('brings the higher ones first, and equal ones in their order', async () => {
    const { url, ...others } = options();
    const before = await startApp({ url, ...others }, { controllers: [Urgent] });
    const link = linkOf(before);
    await before.server.drain();
    const done: Promise<void>[] = [];
    for (const [data, priority] of [
      ['low', 1],
      ['none', undefined],
      ['high', 9],
      ['middle', 5],
      ['high too', 9],
      ['beyond', 200],
    ] as const) {
      done.push(
        new Promise((resolve, reject) => {
          const properties = { deliveryMode: 2, ...(priority === undefined ? {} : { priority }) };
          const body = Buffer.from(JSON.stringify(data));
          link.publish({ exchange: 'nestmq.events', routingKey: 'job', properties, body }, (error) =>
            error === undefined ? resolve() : reject(error),
          );
        }),
      );
    }
    await Promise.all(done);
    started = await startApp({ url, ...others }, { controllers: [Urgent] });
    await before.app.close();
    expect(await began.until(6)).toEqual(['high', 'high too', 'beyond', 'middle', 'low', 'none']);
  });
});
