import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { PATTERN_EXTRAS_METADATA } from '@nestjs/microservices/constants.js';
import {
  Batch,
  Concurrency,
  DeadLetter,
  Deduplicate,
  HandlerTimeout,
  OrderingKey,
  RateLimit,
  Retry,
  Schedule,
} from './decorators.js';
import type { HandlerOptions } from './handler.options.js';
import { HandlerTable } from './handling/handler-table.js';
import { DEFAULT_RETRY } from './retry-policy.js';
import { QueueOptionsException } from './queue.exceptions.js';

/** What a method has under some decorators; the first is the uppermost. */
function extrasUnder(...decorators: MethodDecorator[]): HandlerOptions {
  const value = (): void => {};
  const descriptor = { value } as TypedPropertyDescriptor<unknown>;
  for (const decorate of decorators.toReversed()) decorate({}, 'handle', descriptor as never);
  return Reflect.getMetadata(PATTERN_EXTRAS_METADATA, value) as HandlerOptions;
}

function added(extras: HandlerOptions, isEvent = true): HandlerTable {
  const table = new HandlerTable({ queue: 'q', retry: DEFAULT_RETRY, prefetchCount: 100, noAck: false });
  table.add('p', (() => {}) as never, isEvent, extras);
  return table;
}

describe('a decorator', () => {
  it.each([
    ['Retry', Retry({ attempts: 2 }), { retry: { attempts: 2 } }],
    ['DeadLetter', DeadLetter('graveyard'), { deadLetter: 'graveyard' }],
    ['DeadLetter(false)', DeadLetter(false), { deadLetter: false }],
    ['Batch', Batch({ size: 5, timeoutMs: '2s' }), { batch: { size: 5, timeoutMs: '2s' } }],
    ['OrderingKey', OrderingKey(), { orderingKey: true }],
    ["OrderingKey('id')", OrderingKey('id'), { orderingKey: 'id' }],
    ['Concurrency', Concurrency(3), { concurrency: 3 }],
    ['RateLimit', RateLimit({ max: 5 }), { rateLimit: { max: 5 } }],
    ['Deduplicate', Deduplicate(), { deduplication: true }],
    ['Deduplicate with options', Deduplicate({ max: 9 }), { deduplication: { max: 9 } }],
    ['Schedule', Schedule('0 6 * * *'), { schedule: '0 6 * * *' }],
    ['HandlerTimeout', HandlerTimeout('30s'), { timeoutMs: '30s' }],
  ])('@%s says the same as the extras, above or below the pattern', (_name, decorator, expected) => {
    const pattern = EventPattern<string>('p', { queue: 'own' });
    expect(extrasUnder(decorator, pattern)).toMatchObject({ ...expected, queue: 'own' });
    expect(extrasUnder(pattern, decorator)).toMatchObject({ ...expected, queue: 'own' });
    expect([...added(extrasUnder(pattern, decorator)).queues].map(({ queue }) => queue)).toEqual(['own']);
  });

  it('goes together with others, of requests too', () => {
    const extras = extrasUnder(
      Retry({ attempts: 2 }),
      MessagePattern<string>('p'),
      HandlerTimeout(5),
      Concurrency(1),
    );
    const [handlers] = added(extras, false).queues;
    expect(handlers?.all[0]?.policy).toMatchObject({ concurrency: 1, timeoutMs: 5, retry: { attempts: 2 } });
  });

  it('is an error at start when the extras say the same option, above or below', () => {
    const pattern = EventPattern<string>('p', { retry: { attempts: 3 } });
    expect(() => extrasUnder(Retry({ attempts: 2 }), pattern)).toThrow(QueueOptionsException);
    expect(() => added(extrasUnder(pattern, Retry({ attempts: 2 })))).toThrow(QueueOptionsException);
  });

  it('is an error when it is given twice', () => {
    expect(() => extrasUnder(Concurrency(1), Concurrency(2))).toThrow("@Concurrency, and 'concurrency'");
  });

  it('is checked as the extras are', () => {
    expect(() => added(extrasUnder(EventPattern<string>('p'), Concurrency(0)))).toThrow('concurrency');
  });
});
