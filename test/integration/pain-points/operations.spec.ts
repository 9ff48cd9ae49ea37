import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { type Link, QueueAdmin, QueueHealthIndicator } from '@nestmq/transport';
import { context, propagation, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from '../app.js';
import { HOMES, type Home } from '../homes.js';

const traces = new Collector<string | undefined>();
let broken = false;

@Controller()
class Orders {
  @EventPattern('order')
  async take(@Payload() _data: unknown): Promise<void> {
    await new Promise(setImmediate);
    if (broken) throw new Error('broken');
    traces.add(trace.getActiveSpan()?.spanContext().traceId);
  }
}

describe.each(HOMES)('operations on %s', (_scheme, makeHome) => {
  let home: Home;
  let started: StartedApp;

  beforeEach(async () => {
    traces.items.length = 0;
    broken = false;
    home = await makeHome();
    started = await startApp(
      { url: home.url, queue: 'orders', retry: { attempts: 1 } },
      { controllers: [Orders] },
    );
  });
  afterEach(async () => {
    await started.app.close();
    await home.remove();
  });

  const emit = (data: unknown): Promise<unknown> =>
    lastValueFrom(started.client.emit('order', data), { defaultValue: undefined });

  it('22. Traces stop at the queue: the handler is in the trace of who emitted', async () => {
    const spanProcessors = [new SimpleSpanProcessor(new InMemorySpanExporter())];
    trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    propagation.setGlobalPropagator(new W3CTraceContextPropagator());
    const root = trace.getTracer('app').startSpan('POST /orders');
    await context.with(trace.setSpan(context.active(), root), async () => emit(1));
    expect(await traces.until(1)).toEqual([root.spanContext().traceId]);
    for (const api of [trace, context, propagation]) api.disable();
  });

  it('23. A durable queue leaked per ping: health declares nothing; it lies not about a queue that is gone', async () => {
    const health = started.app.get(QueueHealthIndicator);
    const link = started.server.unwrap<Link>();
    expect(await health.isHealthy('mq')).toMatchObject({ mq: { status: 'up' } });
    await link.deleteQueue('orders');
    expect(await health.isHealthy('mq')).toMatchObject({ mq: { status: 'down' } });
    expect(await link.queueState('orders')).toBeUndefined();
  });

  it('letters are looked at and redriven inside the application', async () => {
    const admin = started.app.get(QueueAdmin);
    broken = true;
    await emit(1);
    while ((await admin.depth('orders.dead')).ready === 0) await new Promise(setImmediate);
    broken = false;
    const letters = admin.deadLetters('orders');
    expect(await letters.list()).toEqual([
      expect.objectContaining({ data: 1, error: expect.objectContaining({ message: 'broken' }) }),
    ]);
    expect(await letters.redrive()).toEqual({ count: 1, complete: true });
    await traces.until(1);
  });
});
