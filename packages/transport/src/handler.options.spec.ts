import { describe, expect, it } from '@jest/globals';
import { type HandlerOptions, type HandlerPolicy, normaliseHandlerOptions } from './handler.options.js';
import { DEFAULT_RETRY } from './retry-policy.js';
import { QueueOptionsException } from './queue.exceptions.js';

const DEFAULTS = { queue: 'q', retry: DEFAULT_RETRY, prefetchCount: 100, noAck: false };
const policyOf = (options: unknown, defaults = DEFAULTS): HandlerPolicy =>
  normaliseHandlerOptions("the handler of 'p'", options as HandlerOptions, defaults);

describe("a handler's options", () => {
  it("are the module's where it says nothing", () => {
    expect(policyOf({})).toEqual({ ...DEFAULTS, deadLetterQueue: 'q.dead' });
  });

  it('are taken as they are given', () => {
    const orderingKey = (): string => 'k';
    expect(policyOf({ orderingKey }).orderingKey).toBe(orderingKey);
    expect(
      policyOf({
        queue: 'own',
        deadLetter: 'graveyard',
        concurrency: 3,
        prefetchCount: 10,
        priority: 9,
        rateLimit: { max: 5, per: '1m' },
        batch: { size: 10 },
        timeoutMs: '30s',
        deduplication: true,
        schedule: '0 6 * * *',
      }),
    ).toMatchObject({
      queue: 'own',
      deadLetterQueue: 'graveyard',
      concurrency: 3,
      prefetchCount: 10,
      priority: 9,
      rateLimit: { max: 5, perMs: 60_000 },
      batch: { size: 10, timeoutMs: 1000 },
      timeoutMs: 30_000,
      deduplication: { windowMs: 86_400_000, max: 100_000 },
      schedule: { cron: '0 6 * * *', timeZone: 'UTC', missed: 'once' },
    });
  });

  it('name the dead letters by its own queue', () => {
    expect(policyOf({ queue: 'own' }).deadLetterQueue).toBe('own.dead');
    expect(policyOf({ deadLetter: false }).deadLetterQueue).toBeUndefined();
  });

  const NOT_WHOLE = [0, -1, 1.5, '3', Number.NaN, Infinity, null, {}];
  const NOT_A_NAME = ['', 'amq.x', 'x'.repeat(201), 7, null, true, []];
  const NOT_A_TABLE = [1, 'x', null, [], () => {}];
  const NOT_A_TIME = [-1, '5', '5 weeks', Number.NaN, Infinity, null, {}, true];

  it.each([
    ['queue', NOT_A_NAME],
    ['deadLetter', [...NOT_A_NAME]],
    ['concurrency', [...NOT_WHOLE, 65_536]],
    ['prefetchCount', [...NOT_WHOLE, 65_536]],
    ['priority', [...NOT_WHOLE, 256]],
    ['orderingKey', ['', false, 7, null, {}, []]],
    ['rateLimit', [...NOT_A_TABLE, {}, ...NOT_WHOLE.map((max) => ({ max })), { max: 1_000_001 }]],
    ['rateLimit', [...NOT_A_TIME, 0, '2d'].map((per) => ({ max: 1, per }))],
    ['batch', [...NOT_A_TABLE, {}, ...NOT_WHOLE.map((size) => ({ size })), { size: 10_001 }]],
    ['batch', [...NOT_A_TIME, 0, '2d'].map((timeoutMs) => ({ size: 1, timeoutMs }))],
    ['timeoutMs', [...NOT_A_TIME, 0, '25h']],
    ['deduplication', [1, 'x', null, [], ...NOT_WHOLE.map((max) => ({ max })), { max: 10_000_001 }]],
    ['deduplication', [...NOT_A_TIME, 0, '31d'].map((window) => ({ window }))],
    ['schedule', [1, null, [], {}, { cron: 5 }, { cron: '* * * * *', timeZone: 5 }]],
    [
      'schedule',
      [
        { cron: '* * * * *', missed: 'twice' },
        { cron: '* * * * *', missed: null },
      ],
    ],
    ['noAck', ['yes', 1, null, {}]],
    ['retry', NOT_A_TABLE],
  ])('can not have as %s what is none: %p', (key, values) => {
    for (const value of values) {
      const message = `${key}: ${JSON.stringify(value)}`;
      expect([message, thrownBy(() => policyOf({ [key]: value }))]).toEqual([
        message,
        expect.any(QueueOptionsException),
      ]);
      expect(String(thrownBy(() => policyOf({ [key]: value })))).toContain(key);
    }
  });

  it('say of which handler they speak', () => {
    expect(() => policyOf({ retry: { attempts: 0 } })).toThrow(
      "In the handler of 'p': 'retry.attempts' is 0 (number). Give a whole number from 1 to 1000.",
    );
    expect(() => policyOf({ batch: {} })).toThrow("In the handler of 'p': 'batch.size' is null (object).");
  });

  it.each([
    ['rety', {}],
    ['rateLimit', { max: 1, pre: '1s' }],
    ['batch', { size: 1, timeout: 5 }],
    ['deduplication', { windw: 5 }],
    ['schedule', { cron: '* * * * *', tz: 'UTC' }],
    ['retry', { attemps: 5 }],
  ])('can not have an unknown key, in %s', (key, value) => {
    expect(() => policyOf({ [key]: value })).toThrow('unknown option');
  });

  it.each([
    ['a batch that can not get full', { batch: { size: 101 } }, 'prefetchCount of at least'],
    ['a concurrency that is never reached', { concurrency: 101 }, 'prefetchCount of at least'],
    ['a batch and an order', { batch: { size: 2 }, orderingKey: 'id' }, 'one of the two'],
    ['dead letters in its own queue', { deadLetter: 'q' }, 'for ever'],
    ['noAck and an order', { noAck: true, orderingKey: true }, 'noAck: false'],
    ['noAck and deduplication', { noAck: true, deduplication: true }, 'noAck: false'],
    ['noAck and a concurrency', { noAck: true, concurrency: 2 }, 'noAck: false'],
    ['noAck and a rate', { noAck: true, rateLimit: { max: 2 } }, 'noAck: false'],
    ['noAck and a batch', { noAck: true, batch: { size: 2 } }, 'noAck: false'],
    ['noAck and retries', { noAck: true, retry: { attempts: 2 } }, 'noAck: false'],
    ['noAck and dead letters', { noAck: true, deadLetter: 'x' }, 'noAck: false'],
    ['noAck and a prefetch', { noAck: true, prefetchCount: 2 }, 'noAck: false'],
  ])('can not have %s', (_what, options, cure) => {
    expect(() => policyOf(options)).toThrow(cure);
    expect(() => policyOf(options)).toThrow(QueueOptionsException);
  });

  it('may have noAck with what it needs not settle for', () => {
    expect(policyOf({ noAck: true, deadLetter: false, deduplication: false, timeoutMs: 5 }).noAck).toBe(true);
    expect(() => policyOf({ concurrency: 2 }, { ...DEFAULTS, noAck: true })).toThrow('noAck: false');
  });

  it('do not show in an error what is in an object', () => {
    const secret = Object.assign(Object.create(null) as object, { password: 'x' });
    expect(String(thrownBy(() => policyOf({ queue: secret })))).toContain('is an object.');
    expect(String(thrownBy(() => policyOf({ queue: ['x'] })))).toContain('is a list.');
  });
});

function thrownBy(act: () => unknown): unknown {
  try {
    act();
    return 'nothing';
  } catch (error) {
    return error;
  }
}
