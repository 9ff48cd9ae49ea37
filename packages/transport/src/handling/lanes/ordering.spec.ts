import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import fc from 'fast-check';
import type { HandlerOptions } from '../../handler.options.js';
import { RetryLaterException } from '../../retry.exceptions.js';
import type { Execute } from '../execute.js';
import {
  deferred,
  type Deferred,
  deliveryOf,
  executing,
  handlerOf,
  runOf,
  settled,
} from '../handling.spec.support.js';
import type { Outcome } from '../outcome.js';
import type { Run } from '../work.js';
import { Intake } from './intake.js';
import { Ordering } from './ordering.js';

const RETRY = { attempts: 3, delay: 100, backoff: 'fixed', jitter: 0 } as const;

interface Lane {
  readonly clock: ManualClock;
  readonly intake: Intake;
  readonly ordering: Ordering;
  readonly retried: string[];
  readonly handle: (
    data: unknown,
    headers?: Record<string, string>,
  ) => { run: Run; outcome: Promise<Outcome> };
}

function laneOf(call: (run: Run) => Promise<void>, options: HandlerOptions = {}): Lane {
  const clock = new ManualClock();
  const intake = new Intake();
  const retried: string[] = [];
  const handler = handlerOf({ orderingKey: 'key', retry: RETRY, ...options });
  const onRetry = ({ attempt }: Run, { kind }: Outcome): void => void retried.push(`${attempt} ${kind}`);
  const ordering = new Ordering({ clock, intake, onRetry }, executing(call));
  return {
    clock,
    intake,
    ordering,
    retried,
    handle: (data, headers) => {
      const run = runOf(handler, { data, headers: headers ?? {} });
      return { run, outcome: ordering.execute(run) };
    },
  };
}

const of = (run: Run): { key: string; n: number } => run.work.received.data as never;

describe('an order by key', () => {
  it('handles the messages of a key one after the other, keys side by side, and forgets idle keys', async () => {
    const began: string[] = [];
    const ends: Deferred<void>[] = [];
    const { handle, ordering } = laneOf((run) => {
      began.push(`${of(run).key}${of(run).n}`);
      ends.push(deferred());
      return (ends.at(-1) as Deferred<void>).promise;
    });
    const all = ['a', 'a', 'b', 'a'].map((key, n) => handle({ key, n }).outcome);
    await settled();
    expect([began, ordering.keys]).toEqual([['a0', 'b2'], 2]);
    for (let i = 0; i < 4; i++) {
      ends[i]?.resolve();
      await settled();
    }
    expect(began).toEqual(['a0', 'b2', 'a1', 'a3']);
    expect(await Promise.all(all)).toEqual(Array.from({ length: 4 }, () => ({ kind: 'done' })));
    expect(ordering.keys).toBe(0);
  });

  it('holds the key back while a message is tried again, and goes on when it is given up', async () => {
    const began: string[] = [];
    const { handle, clock, retried, ordering } = laneOf((run) => {
      began.push(`${of(run).n} ${run.context.attempt}`);
      return of(run).n === 0 ? Promise.reject(new Error('no')) : Promise.resolve();
    });
    const first = handle({ key: 'a', n: 0 });
    const second = handle({ key: 'a', n: 1 });
    await settled();
    clock.advance(99);
    await settled();
    expect(began).toEqual(['0 1']);
    clock.advance(1);
    await settled();
    clock.advance(100);
    expect(await first.outcome).toMatchObject({ kind: 'dead', reason: 'attempts' });
    expect(await second.outcome).toEqual({ kind: 'done' });
    expect(began).toEqual(['0 1', '0 2', '0 3', '1 1']);
    expect(retried).toEqual(['1 retry', '2 retry']);
    expect(ordering.keys).toBe(0);
  });

  it('keeps the order of each key whatever fails how often', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), failures: fc.nat(4), ms: fc.nat(3) }), {
          maxLength: 30,
        }),
        async (messages) => {
          const began: { key: string; n: number; attempt: number }[] = [];
          const running = new Map<string, number>();
          const lane = laneOf(async (run) => {
            const { key, n } = of(run);
            const message = messages[n] as (typeof messages)[number];
            expect(running.get(key) ?? 0).toBe(0);
            running.set(key, 1);
            began.push({ key, n, attempt: run.attempt });
            await new Promise<void>((resolve) => void lane.clock.setTimer(message.ms, resolve));
            running.set(key, 0);
            if (run.attempt <= message.failures) throw new Error('again');
          });
          const outcomes = messages.map(({ key }, n) => lane.handle({ key, n }).outcome);
          const open = new Set(outcomes);
          for (const outcome of outcomes) void outcome.then(() => open.delete(outcome));
          while (open.size > 0) {
            lane.clock.advance(1);
            await settled();
            if (began.length > 0) lane.clock.advance(50);
          }
          const expected = messages.flatMap(({ key, failures }, n) =>
            Array.from({ length: Math.min(failures, 2) + 1 }, (_, i) => ({ key, n, attempt: i + 1 })),
          );
          for (const key of ['a', 'b', 'c'])
            expect(began.filter((one) => one.key === key)).toEqual(expected.filter((one) => one.key === key));
          expect(lane.ordering.keys).toBe(0);
        },
      ),
      { numRuns: 25 },
    );
  });

  it('takes what a handler says by hand in place: retry, nack; what is the end is settled at once', async () => {
    const seen: string[] = [];
    const { handle, clock } = laneOf((run) => {
      seen.push(`${of(run).n} ${run.attempt}`);
      if (seen.length === 1) run.context.retry(500);
      else if (seen.length === 2) run.context.nack();
      else run.context.deadLetter('enough');
      return Promise.resolve();
    });
    const { run, outcome } = handle({ key: 'a', n: 0 });
    const next = handle({ key: 'a', n: 1 });
    await settled();
    expect(run.outcome).toBeUndefined();
    clock.advance(500);
    await settled();
    clock.advance(0);
    await outcome;
    await next.outcome;
    expect(seen).toEqual(['0 1', '0 2', '0 2', '1 1']);
    expect(run.work.runs[0]?.outcome).toMatchObject({ kind: 'dead', reason: 'unrecoverable' });
  });

  it('lets an attempt that does not count not count', async () => {
    const attempts: number[] = [];
    const { handle, clock } = laneOf((run) => {
      attempts.push(run.attempt);
      return attempts.length < 5
        ? Promise.reject(new RetryLaterException(1, { counts: false }))
        : Promise.resolve();
    });
    const { outcome } = handle({ key: 'a', n: 0 });
    for (let i = 0; i < 5; i++) {
      await settled();
      clock.advance(1);
    }
    expect(await outcome).toEqual({ kind: 'done' });
    expect(attempts).toEqual([1, 1, 1, 1, 1]);
  });

  it('leaves out what was lost with its connection, also one that waits for its next attempt', async () => {
    const began: string[] = [];
    const { handle, clock } = laneOf((run) => {
      began.push(`${of(run).n} ${run.attempt}`);
      return of(run).n < 2 ? Promise.reject(new Error('no')) : Promise.resolve();
    });
    const [lost, lostToo, again] = [0, 1, 2].map((n) => handle({ key: 'a', n }));
    await settled();
    for (const one of [lost, lostToo]) {
      deliveryOf((one as { run: Run }).run).lose();
      for (const run of (one as { run: Run }).run.work.runs) run.abort(new Error('lost'));
    }
    expect(await lost?.outcome).toEqual({ kind: 'done' });
    expect(await lostToo?.outcome).toEqual({ kind: 'done' });
    expect(await again?.outcome).toEqual({ kind: 'done' });
    expect(began).toEqual(['0 1', '2 1']);
    clock.advance(10_000);
    expect(began).toHaveLength(2);
  });

  it('gives back what has not begun, and what waits for an attempt, as soon as the intake stops', async () => {
    const end = deferred();
    const began: string[] = [];
    const { handle, intake } = laneOf((run) => {
      began.push(`${of(run).key} ${of(run).n}`);
      return of(run).key === 'failing' ? Promise.reject(new Error('no')) : end.promise;
    });
    const running = handle({ key: 'a', n: 0 });
    const waiting = handle({ key: 'a', n: 1 });
    const pausing = handle({ key: 'failing', n: 2 });
    await settled();
    intake.stop();
    expect(await pausing.outcome).toEqual({ kind: 'requeue' });
    expect(await handle({ key: 'b', n: 3 }).outcome).toEqual({ kind: 'requeue' });
    end.resolve();
    expect(await running.outcome).toEqual({ kind: 'done' });
    expect(await waiting.outcome).toEqual({ kind: 'requeue' });
    expect(began).toEqual(['a 0', 'failing 2']);
  });

  it.each([
    ['a property of the data', 'key', { key: 'x' }, {}, 'x'],
    ['a number', 'key', { key: 7 }, {}, '7'],
    ['no such property', 'toString', { key: 'x' }, {}, undefined],
    ['data without properties', 'key', 'text', {}, undefined],
    ['no data', 'key', null, {}, undefined],
    ["the producer's key", true, {}, { 'x-nestmq-ordering-key': 'h' }, 'h'],
    ["no key of the producer's", true, { key: 'x' }, {}, undefined],
    ['a function', (data: never) => (data as { key: string }).key.toUpperCase(), { key: 'x' }, {}, 'X'],
  ] as const)('takes as a key: %s', async (_what, orderingKey, data, headers, expected) => {
    const end = deferred();
    let begun = 0;
    const lane = laneOf(() => ((begun += 1), end.promise), { orderingKey: orderingKey as never });
    const one = lane.handle(data, headers);
    const other = lane.handle(data, headers);
    await settled();
    expect([begun, lane.ordering.keys]).toEqual(expected === undefined ? [2, 0] : [1, 1]);
    end.resolve();
    await Promise.all([one.outcome, other.outcome]);
  });

  it.each([
    [
      'throws',
      () => {
        throw new TypeError('no key');
      },
      'no key',
    ],
    ['gives an object', () => ({}) as never, 'string or a number'],
    ['is async', () => Promise.reject(new Error('x')) as never, 'string or a number'],
  ])('dead-letters a message whose key function %s', async (_what, orderingKey, message) => {
    const { handle, ordering } = laneOf(() => Promise.resolve(), { orderingKey });
    const outcome = await handle({}).outcome;
    expect(outcome).toMatchObject({
      kind: 'dead',
      reason: 'unrecoverable',
      error: { message: expect.stringContaining(message) },
    });
    expect(ordering.keys).toBe(0);
  });

  it('lets a failed message without a key go its usual way', async () => {
    const { handle, retried } = laneOf(() => Promise.reject(new Error('no')));
    expect(await handle({}).outcome).toMatchObject({ kind: 'retry', delayMs: 100 });
    expect(retried).toEqual([]);
  });

  it('waits longer than a timer of Node can', async () => {
    const delays: number[] = [];
    const execute: Execute = () =>
      Promise.resolve({ kind: 'retry', delayMs: 3_000_000_000, counts: false, error: new Error('later') });
    const intake = new Intake();
    const clock = {
      now: () => 0,
      setTimer: (ms: number, callback: () => void) => {
        delays.push(ms);
        if (delays.length < 35) queueMicrotask(callback);
        else queueMicrotask(() => intake.stop());
        return { cancel: () => {} };
      },
    };
    const ordering = new Ordering({ clock, intake, onRetry: () => {} }, execute);
    const outcome = ordering.execute(runOf(handlerOf({ orderingKey: 'key' }), { data: { key: 1 } }));
    expect(await outcome).toEqual({ kind: 'requeue' });
    expect(delays.slice(0, 35).reduce((sum, ms) => sum + ms)).toBe(3_000_000_000);
    expect(Math.max(...delays)).toBeLessThanOrEqual(86_400_000);
  });
});
