import { describe, expect, it } from '@jest/globals';
import type { HandlerOptions } from '../handler.options.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import { HandlerTable, type QueueHandlers } from './handler-table.js';
import { DEFAULT_RETRY } from '../retry-policy.js';

type Added = readonly [pattern: string, options?: HandlerOptions, kind?: 'request'];

function tableOf(...added: readonly Added[]): Record<string, QueueHandlers> {
  const table = new HandlerTable({ queue: 'q', retry: DEFAULT_RETRY, prefetchCount: 100, noAck: false });
  for (const [pattern, options = {}, kind] of added)
    table.add(pattern, (() => {}) as never, kind !== 'request', options);
  return Object.fromEntries([...table.queues].map((handlers) => [handlers.queue, handlers]));
}

const ids = (handlers: readonly { id: string }[] | undefined): string[] | undefined =>
  handlers?.map(({ id }) => id).toSorted();

describe('handlers', () => {
  it('are kept by their queue, and found by their pattern', () => {
    const { q, own } = tableOf(['a.b'], ['a.*'], ['a.b', { queue: 'own' }], ['a.b', {}, 'request']);
    expect(ids(q?.forEvent('a.b'))).toEqual(['a.*@0', 'a.b@0']);
    expect(ids(q?.forEvent('a.c'))).toEqual(['a.*@0']);
    expect(ids(own?.forEvent('a.b'))).toEqual(['a.b@0']);
    expect(q?.forRequest('a.b')?.isEvent).toBe(false);
    expect(own?.forRequest('a.b')).toBeUndefined();
  });

  it('answer by the exact pattern before a wildcard', () => {
    const { q } = tableOf(['#', {}, 'request'], ['a.b', {}, 'request']);
    expect([q?.forRequest('a.b')?.pattern, q?.forRequest('a.c')?.pattern]).toEqual(['a.b', '#']);
  });

  it('keep their ids when handlers of other patterns are added before them', () => {
    const before = tableOf(['a'], ['a'], ['b']);
    const after = tableOf(['new'], ['a'], ['a'], ['newer'], ['b']);
    expect(ids(before['q']?.all)).toEqual(['a@0', 'a@1', 'b@0']);
    expect(ids(after['q']?.all)).toEqual(expect.arrayContaining(['a@0', 'a@1', 'b@0']));
  });

  it('say how their queue is declared', () => {
    const { q, own } = tableOf(
      ['a', { deadLetter: false }],
      ['b', { deadLetter: 'graveyard' }],
      ['c', { queue: 'own', priority: 9, orderingKey: 'id' }],
    );
    expect(q?.declaration).toEqual({ deadLetterQueue: 'graveyard', singleActiveConsumer: false });
    expect(own?.declaration).toEqual({
      deadLetterQueue: 'own.dead',
      maxPriority: 9,
      singleActiveConsumer: true,
    });
    expect(q?.deadLetterQueues).toEqual(new Set(['graveyard']));
    expect([q?.isOrdered, own?.isOrdered]).toEqual([false, true]);
  });

  it.each([
    ['prefetchCount', { prefetchCount: 5 }],
    ['priority', { priority: 5 }],
    ['noAck', { noAck: true }],
  ])('of one queue that disagree about %s are an error', (key, options) => {
    expect(() => tableOf(['a'], ['b', options])).toThrow(QueueOptionsException);
    expect(() => tableOf(['a'], ['b', options])).toThrow(
      `The handlers of 'a' and 'b' get their messages from the queue 'q', but want another ${key}`,
    );
    expect(() => tableOf(['a', options], ['b', options])).not.toThrow();
    expect(() => tableOf(['a'], ['b', { ...options, queue: 'own' }])).not.toThrow();
  });

  it('that answer the same request are an error, also in different queues', () => {
    expect(() => tableOf(['a', {}, 'request'], ['a', {}, 'request'])).toThrow("Two handlers answer 'a'");
    expect(() => tableOf(['a', {}, 'request'], ['a', { queue: 'own' }, 'request'])).toThrow(
      QueueOptionsException,
    );
    expect(() => tableOf(['a', {}, 'request'], ['a'])).not.toThrow();
  });

  it.each([
    ['batch', { batch: { size: 2 } }],
    ['schedule', { schedule: '0 6 * * *' }],
    ['deduplication', { deduplication: true }],
  ])('of requests have no %s', (_key, options) => {
    expect(() => tableOf(['a', options, 'request'])).toThrow('Those are for @EventPattern');
  });
});
