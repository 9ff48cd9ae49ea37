import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, type PipeTransform } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { ManualClock } from '@nestmq/broker';
import { Batch, BatchFailedException, QueueBatchContext, Retry } from '@nestmq/transport';
import { Collector, type StartedApp, startApp } from '../app.js';
import { emitAll, linkOf, pass, settled } from './support.js';

type Handle = (data: readonly number[], context: QueueBatchContext) => unknown;

class Numbers implements PipeTransform {
  transform(list: readonly string[]): number[] {
    return list.map(Number);
  }
}

const batches = new Collector<readonly number[]>();
let handle: Handle;

@Controller()
class Metrics {
  @EventPattern<string>('metric.*')
  @Batch({ size: 3, timeoutMs: '1s' })
  @Retry({ attempts: 2, delay: '10s', backoff: 'fixed', jitter: 0 })
  store(@Payload() data: readonly number[], @Ctx() context: QueueBatchContext): unknown {
    batches.add(data);
    return handle(data, context);
  }
}

let clock: ManualClock;
let started: StartedApp;
let memory = 0;

beforeEach(async () => {
  batches.items.length = 0;
  handle = () => undefined;
  clock = new ManualClock();
  started = await startApp(
    { url: `memory:batches-${++memory}`, queue: 'metrics', broker: { clock } },
    { controllers: [Metrics] },
  );
});
afterEach(() => started.app.close());

const inQueue = (queue = 'metrics') => linkOf(started).queueState(queue);

describe('a batch', () => {
  it('comes as a list, when it is full or its time is over, and is done with as a whole', async () => {
    const contexts: QueueBatchContext[] = [];
    handle = (_data, context) => contexts.push(context);
    await emitAll(started, 'metric.a', [1, 2]);
    await emitAll(started, 'metric.b', [3, 4]);
    await settled();
    expect(batches.items).toEqual([[1, 2, 3]]);
    await pass(clock, 1000);
    expect(batches.items).toEqual([[1, 2, 3], [4]]);
    const [context] = contexts;
    expect(context).toBeInstanceOf(QueueBatchContext);
    expect(context?.getPattern()).toBe('metric.*');
    expect(context?.contexts.map((one) => [one.pattern, one.attempt])).toEqual([
      ['metric.a', 1],
      ['metric.a', 1],
      ['metric.b', 1],
    ]);
    expect(context?.signal.aborted).toBe(false);
    await settled();
    expect(await inQueue()).toMatchObject({ ready: 0, unsettled: 0 });
  });

  it('that fails is tried again and dead-lettered message by message', async () => {
    handle = () => {
      throw new RangeError('full');
    };
    await emitAll(started, 'metric.a', [1, 2, 3]);
    await settled();
    await pass(clock, 10_000);
    await settled();
    expect(batches.items).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    const letters = await linkOf(started).peek('metrics.dead', 10);
    expect(letters.map(({ body, properties }) => [String(body), properties.headers])).toMatchObject(
      ['1', '2', '3'].map((data) => [
        data,
        { 'x-nestmq-error-name': 'RangeError', 'x-nestmq-attempts': 2, 'x-nestmq-routing-key': 'metric.a' },
      ]),
    );
  });

  it('may fail in part: only that part comes again', async () => {
    handle = (data) => {
      if (data.length === 3) throw new BatchFailedException({ failed: [1] });
    };
    await emitAll(started, 'metric.a', [1, 2, 3]);
    await settled();
    await pass(clock, 11_000, 1000);
    expect(batches.items).toEqual([[1, 2, 3], [2]]);
    expect(await inQueue('metrics.dead')).toMatchObject({ ready: 0 });
  });

  it('may be settled by hand in part, and fail for the rest', async () => {
    handle = (data, context) => {
      if (data.length < 3) return;
      context.contexts[0]?.ack();
      context.contexts[1]?.deadLetter('never');
      throw new Error('the third');
    };
    await emitAll(started, 'metric.a', [1, 2, 3]);
    await settled();
    await pass(clock, 11_000, 1000);
    expect(batches.items).toEqual([[1, 2, 3], [3]]);
    const letters = await linkOf(started).peek('metrics.dead', 10);
    expect(letters.map(({ body }) => String(body))).toEqual(['2']);
  });

  it('that is not full goes back at once when the service stops', async () => {
    await emitAll(started, 'metric.a', [1, 2]);
    await settled();
    const link = linkOf(started);
    await started.server.drain();
    expect(await link.queueState('metrics')).toMatchObject({ ready: 2, unsettled: 0 });
    expect(batches.items).toEqual([]);
  });

  it('goes through pipes and processing hooks as one', async () => {
    const hooked: unknown[] = [];
    @Controller()
    class Piped {
      @EventPattern<string>('piped', { batch: { size: 2 } })
      store(@Payload(new Numbers()) data: number[]): void {
        batches.add(data);
      }
    }
    await started.app.close();
    started = await startApp({ url: 'memory:batch-pipes' }, { controllers: [Piped] });
    started.server.setOnProcessingStartHook((_transport, context, done) => {
      hooked.push((context as object).constructor.name);
      void done();
    });
    started.server.setOnProcessingEndHook(
      (_transport, context) => void hooked.push((context as object).constructor.name),
    );
    await emitAll(started, 'piped', ['1', '2']);
    expect(await batches.until(1)).toEqual([[1, 2]]);
    await settled();
    expect(hooked).toEqual(['QueueBatchContext', 'QueueBatchContext']);
  });
});
