import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import {
  type Link,
  promMetrics,
  QueueBatchContext,
  QueueContext,
  type QueueMetrics,
  type QueueOptions,
  UnrecoverableException,
} from '@nestmq/transport';
import { Registry } from 'prom-client';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

const clock = new ManualClock();
const handled = new Collector<unknown>();
let release: () => void = () => {};

@Controller()
class Work {
  @EventPattern<string>('work.*')
  async work(@Payload() what: string, @Ctx() context: QueueContext): Promise<void> {
    if (what === 'retry' && context.attempt === 1) throw new Error('not yet');
    if (what === 'poison') throw new UnrecoverableException('never');
    if (what === 'nack' && !context.redelivered) context.nack();
    if (what === 'slow') await new Promise<void>((resolve) => (release = resolve));
    if (what === 'late') clock.advance(2500);
    handled.add(what);
  }
  @EventPattern('lossy', { queue: 'lossy', deadLetter: false, retry: { attempts: 1 } })
  lossy(_data: unknown): void {
    throw new Error('lost');
  }
  @EventPattern<string>('parcel', { queue: 'parcels', batch: { size: 3, timeoutMs: 60_000 } })
  load(@Payload() all: string[], @Ctx() context: QueueBatchContext): void {
    context.contexts[0]?.deadLetter('not this one');
    if (all.includes('bad')) throw new Error('a bad one');
  }
  @EventPattern<string>('once', { queue: 'once', deduplication: true })
  once(@Payload() what: string): void {
    handled.add(what);
  }
  @MessagePattern('ask')
  ask(@Payload() what: string): string {
    if (what === 'bad') throw new Error('bad question');
    return what;
  }
}

let registry: Registry;
let started: StartedApp;

async function start(options: Partial<QueueOptions>): Promise<void> {
  started = await startApp(
    { url: 'memory:metrics', queue: 'work', broker: { clock }, retry: { attempts: 2, delay: 0 }, ...options },
    { controllers: [Work] },
  );
}

async function emit(pattern: string, data: string): Promise<void> {
  await lastValueFrom(started.client.emit(pattern, data), { defaultValue: undefined });
}

/** The values of a metric, by the values of its labels. */
async function valuesOf(name: string): Promise<Record<string, number>> {
  const found = (await registry.getMetricsAsJSON()).find((metric) => metric.name === name);
  const values = (found?.values ?? []) as { metricName?: string; labels: object; value: number }[];
  const counted = values.filter(
    ({ metricName }) => metricName === undefined || metricName.endsWith('_count'),
  );
  return Object.fromEntries(counted.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}

/** Resolves when a metric has the value. */
async function until(name: string, labels: string, value: number): Promise<void> {
  while ((await valuesOf(name))[labels] !== value) await new Promise(setImmediate);
}

beforeEach(() => {
  registry = new Registry();
  handled.items.length = 0;
});
afterEach(() => started.app.close());

describe('promMetrics', () => {
  beforeEach(() => start({ metrics: promMetrics(registry) }));

  it('counts what is published and confirmed, and what could not be', async () => {
    await emit('work.a', 'x');
    expect(await firstValueFrom(started.client.send('ask', 'y'))).toBe('y');
    await expect(firstValueFrom(started.client.send('nobody', 'z'))).rejects.toBeDefined();
    await until('nestmq_confirmed_total', 'request', 1);
    expect(await valuesOf('nestmq_published_total')).toEqual({ event: 1, request: 2 });
    expect(await valuesOf('nestmq_confirmed_total')).toEqual({ event: 1, request: 1 });
    expect(await valuesOf('nestmq_publish_failures_total')).toEqual({ request: 1 });
    expect(await valuesOf('nestmq_publish_confirm_seconds')).toEqual({ event: 1, request: 1 });
  });

  it('counts what publishing refuses at once', async () => {
    await emit('work.a', 'x');
    await started.client.unwrap<Link>().close();
    await expect(emit('work.a', 'x')).rejects.toBeDefined();
    expect(await valuesOf('nestmq_publish_failures_total')).toEqual({ event: 1 });
  });

  it('counts attempts by handler and by how they end', async () => {
    for (const what of ['well', 'retry', 'poison', 'nack']) await emit('work.a', what);
    await emit('lossy', 'x');
    await until('nestmq_handled_total', 'work work.* handled', 3);
    await until('nestmq_handled_total', 'lossy lossy discarded', 1);
    expect(await valuesOf('nestmq_handled_total')).toEqual({
      'work work.* handled': 3,
      'work work.* retried': 1,
      'work work.* dead-lettered': 1,
      'work work.* requeued': 1,
      'lossy lossy discarded': 1,
    });
    expect(await valuesOf('nestmq_retried_total')).toEqual({ 'work work.*': 1 });
    expect(await valuesOf('nestmq_dead_lettered_total')).toEqual({ 'work work.* unrecoverable': 1 });
    expect(await valuesOf('nestmq_delivered_total')).toEqual({ work: 6, lossy: 1 });
    expect(await valuesOf('nestmq_handling_seconds')).toEqual({ 'work work.*': 6, 'lossy lossy': 1 });
    expect(await valuesOf('nestmq_in_flight')).toEqual({ 'work work.*': 0, 'lossy lossy': 0 });
  });

  it('counts each message of a batch, by its own fate', async () => {
    for (const what of ['a', 'b', 'c']) await emit('parcel', what);
    await until('nestmq_handled_total', 'parcels parcel handled', 2);
    expect(await valuesOf('nestmq_handled_total')).toEqual({
      'parcels parcel handled': 2,
      'parcels parcel dead-lettered': 1,
    });
    expect(await valuesOf('nestmq_dead_lettered_total')).toEqual({ 'parcels parcel unrecoverable': 1 });
    expect(await valuesOf('nestmq_in_flight')).toEqual({ 'parcels parcel': 0 });
  });

  it('counts what a handler with deduplication had had before', async () => {
    const properties = { messageId: 'm-1' };
    const message = { exchange: 'nestmq.events', routingKey: 'once', properties, body: Buffer.from('"x"') };
    await started.client.connect();
    for (let time = 0; time < 3; time++) started.client.unwrap<Link>().publish(message, () => {});
    await until('nestmq_duplicates_total', 'once once', 2);
    expect(await valuesOf('nestmq_handled_total')).toEqual({ 'once once handled': 1 });
    expect(await valuesOf('nestmq_delivered_total')).toEqual({ once: 3 });
  });

  it('counts requests that are answered with an error', async () => {
    await expect(firstValueFrom(started.client.send('ask', 'bad'))).rejects.toBeDefined();
    await until('nestmq_handled_total', 'work ask failed', 1);
  });

  it('counts what no handler had under no pattern, whatever producers call it', async () => {
    await emit('work.a', 'x');
    const message = {
      exchange: '',
      routingKey: 'work',
      properties: { type: 'evil' },
      body: Buffer.from('1'),
    };
    started.client.unwrap<Link>().publish(message, () => {});
    await until('nestmq_dead_lettered_total', 'work  no-handler', 1);
    const unreadable = {
      ...message,
      exchange: 'nestmq.events',
      routingKey: 'work.unreadable',
      body: Buffer.from('{'),
    };
    started.client.unwrap<Link>().publish(unreadable, () => {});
    await until('nestmq_dead_lettered_total', 'work  unreadable', 1);
    expect(await registry.metrics()).not.toMatch(/evil|work\.a|work\.unreadable/);
  });

  it('measures how long handlers take, and shows those that run', async () => {
    await emit('work.a', 'slow');
    await until('nestmq_in_flight', 'work work.*', 1);
    clock.advance(1500);
    release();
    await until('nestmq_in_flight', 'work work.*', 0);
    const text = await registry.metrics();
    expect(text).toContain('nestmq_handling_seconds_sum{queue="work",pattern="work.*"} 1.5');
    expect(text).toContain('nestmq_handling_seconds_bucket{le="1",queue="work",pattern="work.*"} 0');
    expect(text).toContain('nestmq_handling_seconds_bucket{le="2.5",queue="work",pattern="work.*"} 1');
  });

  it('measures how long messages waited, those that come for the first time', async () => {
    const timestamp = Math.floor(clock.now() / 1000) - 7;
    await emit('work.a', 'well');
    const properties = { timestamp };
    const message = {
      exchange: 'nestmq.events',
      routingKey: 'work.a',
      properties,
      body: Buffer.from('"retry"'),
    };
    started.client.unwrap<Link>().publish(message, () => {});
    started.client.unwrap<Link>().publish({ ...message, properties: {} }, () => {});
    await until('nestmq_handled_total', 'work work.* handled', 3);
    expect(await valuesOf('nestmq_queue_wait_seconds')).toEqual({ work: 2 });
    const text = await registry.metrics();
    const [, sum] = /nestmq_queue_wait_seconds_sum\{queue="work"\} ([\d.]+)/.exec(text) ?? [];
    expect(Number(sum)).toBeGreaterThanOrEqual(7);
    expect(Number(sum)).toBeLessThan(9);
  });
});

describe('the option metrics', () => {
  it('may be shared by several modules of one registry, under a prefix', async () => {
    const options = { prefix: 'shop_', buckets: [1, 2] };
    promMetrics(registry, options);
    await start({ metrics: promMetrics(registry, options) });
    await emit('work.a', 'x');
    await until('shop_delivered_total', 'work', 1);
    const text = await registry.metrics();
    expect(text).toMatch(/shop_handling_seconds_bucket\{le="2"/);
    expect(text).not.toMatch(/nestmq_/);
  });

  it('may be one that always throws: it is logged, and messages go their way', async () => {
    const thrower = new Proxy({} as QueueMetrics, {
      get: (_, name) => () => {
        throw new Error(`${String(name)} is broken`);
      },
    });
    await start({ metrics: thrower });
    const errors: string[] = [];
    started.server.on('error', ({ message }) => errors.push(message));
    await emit('work.a', 'well');
    await emit('work.a', 'poison');
    await handled.until(1);
    expect(await firstValueFrom(started.client.send('ask', 'y'))).toBe('y');
    expect(errors).toEqual(
      expect.arrayContaining(['delivered is broken', 'started is broken', 'ended is broken']),
    );
  });

  it.each([[null], [{}], [() => {}], [{ published: () => {} }]])('refuses %p', async (metrics) => {
    await start({});
    await expect(startApp({ url: 'memory:', metrics: metrics as never }, {})).rejects.toThrow(/'metrics/);
  });
});
