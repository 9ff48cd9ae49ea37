import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import {
  BatchFailedException,
  type Link,
  QueueAdmin,
  QueueContext,
  type QueueOptions,
  UnrecoverableException,
} from '@nestmq/transport';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp } from './app.js';

const exporter = new InMemorySpanExporter();
const handled = new Collector<{ what: string; traceId: string | undefined; headers: unknown }>();

function note(what: string, ctx: QueueContext): void {
  handled.add({ what, traceId: trace.getActiveSpan()?.spanContext().traceId, headers: ctx.headers });
}

@Controller()
class Orders {
  @EventPattern<string>('order.*')
  async bill(@Payload() id: number, @Ctx() ctx: QueueContext): Promise<void> {
    await new Promise(setImmediate);
    trace.getTracer('app').startSpan('write to the database').end();
    if (ctx.pattern === 'order.poison') throw new UnrecoverableException('it is poison');
    if (ctx.pattern === 'order.hard' && ctx.attempt === 1) throw new TypeError('not yet');
    note(`bill ${id}`, ctx);
  }
  @EventPattern<string>('order.placed')
  ship(@Payload() id: number, @Ctx() ctx: QueueContext): void {
    note(`ship ${id}`, ctx);
  }
  @EventPattern<string>('parcel', { queue: 'parcels', batch: { size: 3, timeoutMs: 60_000 } })
  load(@Payload() ids: number[]): void {
    if (ids.includes(-1)) throw new BatchFailedException({ failed: [ids.indexOf(-1)] });
  }
  @MessagePattern('price')
  price(@Payload() id: number): number {
    if (id < 0) throw new RangeError('no such thing');
    return id * 2;
  }
}

function useSdk(): void {
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
}

function leaveSdk(): void {
  trace.disable();
  context.disable();
  propagation.disable();
}

let started: StartedApp;

async function start(options: Partial<QueueOptions> = {}): Promise<void> {
  started = await startApp(
    { url: 'memory:telemetry', queue: 'orders', retry: { attempts: 2, delay: 0 }, ...options },
    { controllers: [Orders] },
  );
}

async function emit(pattern: string, data: unknown): Promise<void> {
  await lastValueFrom(started.client.emit(pattern, data), { defaultValue: undefined });
}

/** Resolves with the spans of that name, when there are as many. */
async function spans(name: string, count = 1): Promise<readonly ReadableSpan[]> {
  for (;;) {
    const found = exporter.getFinishedSpans().filter((span) => span.name === name);
    if (found.length >= count) return found;
    await new Promise(setImmediate);
  }
}

const idOf = (span: ReadableSpan | undefined): string => span?.spanContext().spanId ?? 'none';
const traceOf = (span: ReadableSpan | undefined): string => span?.spanContext().traceId ?? 'none';

beforeEach(() => {
  exporter.reset();
  handled.items.length = 0;
});
afterEach(() => started.app.close());

describe('with OpenTelemetry', () => {
  beforeAll(useSdk);
  afterAll(leaveSdk);

  it('a trace goes on from who emits through the queue into the handler, and what that does', async () => {
    await start();
    const root = trace.getTracer('app').startSpan('POST /orders');
    await context.with(trace.setSpan(context.active(), root), async () => emit('order.placed', 1));
    root.end();
    await handled.until(2);
    const [publish] = await spans('publish order.placed');
    const [receive] = await spans('receive orders');
    const [bill] = await spans('process order.*');
    const [ship] = await spans('process order.placed');
    const [write] = await spans('write to the database');
    expect(publish?.parentSpanContext?.spanId).toBe(root.spanContext().spanId);
    expect(receive?.parentSpanContext?.spanId).toBe(idOf(publish));
    expect([bill, ship].map((span) => span?.parentSpanContext?.spanId)).toEqual([
      idOf(receive),
      idOf(receive),
    ]);
    expect(write?.parentSpanContext?.spanId).toBe(idOf(bill));
    expect(traceOf(write)).toBe(root.spanContext().traceId);
    expect(handled.items.map(({ traceId }) => traceId)).toEqual([traceOf(bill), traceOf(bill)]);
    expect([publish?.kind, receive?.kind, bill?.kind]).toEqual([
      SpanKind.PRODUCER,
      SpanKind.CLIENT,
      SpanKind.CONSUMER,
    ]);
  });

  it('spans say what the semantic conventions for messaging ask for', async () => {
    await start();
    await emit('order.shipped', { id: 1 });
    const [publish] = await spans('publish order.shipped');
    const [receive] = await spans('receive orders');
    const [process] = await spans('process order.*');
    const messageId = String(publish?.attributes['messaging.message.id']);
    expect(messageId).toMatch(/^[0-9a-f-]{36}$/);
    const common = {
      'messaging.system': 'nestmq',
      'messaging.rabbitmq.destination.routing_key': 'order.shipped',
      'messaging.message.id': messageId,
      'messaging.message.body.size': 8,
    };
    expect(publish?.attributes).toEqual({
      ...common,
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'nestmq.events:order.shipped',
    });
    expect(receive?.attributes).toEqual({
      ...common,
      'messaging.operation.name': 'receive',
      'messaging.operation.type': 'receive',
      'messaging.destination.name': 'nestmq.events:order.shipped:orders',
    });
    expect(process?.attributes).toEqual({
      ...common,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'nestmq.events:order.shipped:orders',
      'nestmq.attempt': 1,
      'nestmq.max_attempts': 2,
      'nestmq.result': 'handled',
    });
    expect(receive?.events).toEqual([
      expect.objectContaining({ name: 'settle', attributes: { 'nestmq.outcomes': ['done'] } }),
    ]);
  });

  it('each attempt has its spans, in the trace of the producer, with its error', async () => {
    await start();
    await emit('order.hard', 1);
    const [publish] = await spans('publish order.hard');
    const [first, second] = await spans('process order.*', 2);
    expect(first).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'not yet' },
      attributes: {
        'error.type': 'TypeError',
        'nestmq.attempt': 1,
        'nestmq.result': 'retried',
        'nestmq.retry.delay_ms': 0,
      },
      events: [expect.objectContaining({ name: 'exception' })],
    });
    expect(second).toMatchObject({
      status: { code: SpanStatusCode.UNSET },
      attributes: {
        'nestmq.attempt': 2,
        'nestmq.result': 'handled',
        'messaging.destination.name': 'nestmq.events:order.hard:orders',
      },
    });
    expect([traceOf(first), traceOf(second)]).toEqual([traceOf(publish), traceOf(publish)]);
    const receives = await spans('receive orders', 2);
    expect(receives.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual([
      idOf(publish),
      idOf(publish),
    ]);
  });

  it('a dead letter keeps its trace, also when it is redriven', async () => {
    await start();
    await emit('order.poison', 1);
    const [publish] = await spans('publish order.poison');
    const [process] = await spans('process order.*');
    expect(process).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'it is poison' },
      attributes: { 'nestmq.result': 'dead-lettered' },
    });
    await spans('receive orders');
    await started.app.get(QueueAdmin).deadLetters('orders').redrive();
    const [, again] = await spans('process order.*', 2);
    expect(traceOf(again)).toBe(traceOf(publish));
  });

  it('by the option, what is received is a trace of its own with a link to the producer', async () => {
    await start({ telemetry: { relation: 'link' } });
    await emit('order.shipped', 1);
    const [publish] = await spans('publish order.shipped');
    const [receive] = await spans('receive orders');
    const [process] = await spans('process order.*');
    expect(receive?.parentSpanContext).toBeUndefined();
    expect(traceOf(receive)).not.toBe(traceOf(publish));
    expect(receive?.links.map((link) => link.context.spanId)).toEqual([idOf(publish)]);
    expect(process?.parentSpanContext?.spanId).toBe(idOf(receive));
  });

  it('a request is sent and processed in one trace, with the id of its conversation', async () => {
    await start();
    expect(await firstValueFrom(started.client.send('price', 21))).toBe(42);
    const [send] = await spans('send price');
    const [process] = await spans('process price');
    expect(traceOf(process)).toBe(traceOf(send));
    expect(process?.attributes).toMatchObject({
      'messaging.message.conversation_id': send?.attributes['messaging.message.conversation_id'],
      'messaging.destination.name': 'nestmq.requests:price:orders',
    });
    expect(send?.attributes['messaging.message.conversation_id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('a request that is answered with an error has a span that failed, with the error that was thrown', async () => {
    await start();
    await expect(firstValueFrom(started.client.send('price', -1))).rejects.toBeDefined();
    const [process] = await spans('process price');
    expect(process).toMatchObject({
      status: { code: SpanStatusCode.ERROR, message: 'no such thing' },
      attributes: { 'error.type': 'RangeError', 'nestmq.result': 'failed' },
    });
  });

  it('a batch is a trace of its own with links to the deliveries, which belong to their producers', async () => {
    await start();
    for (const id of [1, -1, 3]) await emit('parcel', id);
    const [process] = await spans('process parcel');
    const receives = await spans('receive parcels', 3);
    const publishes = await spans('publish parcel', 3);
    expect(process?.parentSpanContext).toBeUndefined();
    expect(process?.links.map((link) => link.context.spanId)).toEqual(
      expect.arrayContaining(receives.map(idOf)),
    );
    expect(receives.map((span) => span.parentSpanContext?.spanId).toSorted()).toEqual(
      publishes.map(idOf).toSorted(),
    );
    expect(process).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: {
        'messaging.batch.message_count': 3,
        'messaging.destination.name': 'nestmq.events:parcel:parcels',
        'nestmq.result': 'handled, retried',
      },
    });
  });

  it('what could not be sent has a span that failed', async () => {
    await start();
    await expect(firstValueFrom(started.client.send('nobody', 1))).rejects.toThrow(/No service handles/);
    const [send] = await spans('send nobody');
    expect(send).toMatchObject({
      status: { code: SpanStatusCode.ERROR },
      attributes: { 'error.type': 'NoHandlerException' },
    });
  });

  it('headers that the application gives stay beside those of the trace', async () => {
    await start();
    started.client.setOnDispatchHook((packet) => {
      (packet as { metadata?: object }).metadata = { tenant: 'acme' };
    });
    await emit('order.shipped', 1);
    const [first] = await handled.until(1);
    expect(first?.headers).toEqual({
      tenant: 'acme',
      traceparent: expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/),
    });
  });

  it('what strangers write where a trace is expected is not followed, and handled all the same', async () => {
    await start();
    await started.client.connect();
    for (const traceparent of [17, 'nonsense', `00-${'0'.repeat(32)}-${'0'.repeat(16)}-01`, ['00'], null]) {
      const message = {
        exchange: 'nestmq.events',
        routingKey: 'order.shipped',
        properties: { headers: { traceparent } },
        body: Buffer.from('1'),
      };
      started.client.unwrap<Link>().publish(message, () => {});
    }
    await handled.until(5);
    const receives = await spans('receive orders', 5);
    expect(receives.map(({ parentSpanContext }) => parentSpanContext)).toEqual(receives.map(() => undefined));
  });

  it('can be off', async () => {
    await start({ telemetry: false });
    await emit('order.shipped', 1);
    const [first] = await handled.until(1);
    expect(first?.headers).toEqual({});
    expect(exporter.getFinishedSpans().map(({ name }) => name)).toEqual(['write to the database']);
  });
});

describe('with the OpenTelemetry API alone', () => {
  it('nothing is made and nothing added to messages, until there is a provider', async () => {
    const tracers = jest.spyOn(trace, 'getTracer');
    await start({ telemetry: true });
    await emit('order.shipped', 1);
    const [first] = await handled.until(1);
    expect(first?.headers).toEqual({});
    // The application's own.
    expect(tracers.mock.calls).toEqual([['app']]);
    tracers.mockRestore();
    useSdk();
    await emit('order.shipped', 2);
    await spans('process order.*');
    leaveSdk();
  });
});
