import { describe, expect, it } from '@jest/globals';
import { DEFAULT_RETRY, RetryPolicy, type RetryPolicyInit } from './retry-policy.js';
import { QueueOptionsException } from './queue.exceptions.js';
import { retryPolicyOf } from './retry.options.js';

const DEFAULT = DEFAULT_RETRY.init;
const initOf = (options: unknown, fallback: RetryPolicyInit = DEFAULT): RetryPolicyInit =>
  retryPolicyOf('retry', options, new RetryPolicy(fallback)).init;

describe('the options of retries', () => {
  it('have defaults', () => {
    expect(retryPolicyOf('retry', undefined, DEFAULT_RETRY)).toBe(DEFAULT_RETRY);
    expect(initOf({})).toEqual(DEFAULT);
  });

  it('are merged key by key with those of the module', () => {
    const module: RetryPolicyInit = {
      ...DEFAULT,
      attempts: 9,
      delaysMs: 1000,
      factor: 1,
      except: [RangeError],
    };
    expect(initOf({ attempts: 2 }, module)).toEqual({ ...module, attempts: 2 });
    expect(initOf({ delay: '5s', on: [TypeError] }, module)).toEqual({
      ...module,
      delaysMs: 5000,
      on: [TypeError],
    });
  });

  it.each([
    [
      { backoff: 'fixed', delay: '2s' },
      { factor: 1, delaysMs: 2000 },
    ],
    [{ factor: 3 }, { factor: 3 }],
    [{ backoff: 'exponential' }, { factor: 2 }],
    [{ delay: '5m' }, { delaysMs: 300_000, maxDelayMs: 300_000 }],
    [
      { delay: 10, maxDelay: '1s' },
      { delaysMs: 10, maxDelayMs: 1000 },
    ],
    [{ delay: ['10s', '1m', 900_000] }, { delaysMs: [10_000, 60_000, 900_000] }],
    [
      { delay: 0, jitter: 0 },
      { delaysMs: 0, jitter: 0 },
    ],
  ])('mean what they say: %j', (options, expected) => {
    expect(initOf(options)).toMatchObject(expected);
  });

  it('grow again by exponential when the module has a fixed one', () => {
    expect(initOf({ backoff: 'exponential' }, { ...DEFAULT, factor: 1 }).factor).toBe(2);
  });

  it.each([
    ['attempts', [0, 1001, 1.5, '3', null, Number.NaN]],
    ['delay', [-1, '31d', '5', null, {}, [], ['5s', 'x'], [null], [undefined]]],
    ['backoff', ['linear', 1, null]],
    ['factor', [0.5, 101, '2', null, Number.NaN]],
    ['maxDelay', [-1, '31d', '5', null, 249]],
    ['jitter', [-0.1, 1.1, '0', null, Number.NaN]],
    [
      'on',
      [
        Error,
        'Error',
        null,
        [() => {}],
        ['Error'],
        [
          class NoError {
            no = true;
          },
        ],
        [{}],
      ],
    ],
    [
      'except',
      [
        Error,
        'Error',
        null,
        [() => {}],
        ['Error'],
        [
          class NoError {
            no = true;
          },
        ],
        [{}],
      ],
    ],
  ])('can not have as %s what is none', (key, values) => {
    for (const value of values) {
      expect(() => initOf({ [key]: value })).toThrow(QueueOptionsException);
      expect(() => initOf({ [key]: value })).toThrow(`retry.${key}`);
    }
  });

  it.each([
    [{ delay: [1, 2], backoff: 'fixed' }, 'the list alone'],
    [{ delay: [1, 2], factor: 2 }, 'the list alone'],
    [{ delay: [1, 2], maxDelay: 5 }, 'the list alone'],
    [{ backoff: 'fixed', factor: 2 }, "backoff: 'exponential'"],
    [{ backoff: 'fixed', maxDelay: 5 }, "backoff: 'exponential'"],
    [{ delay: '5m', maxDelay: '1m' }, 'at least the delay'],
    [{ attemps: 5 }, "unknown option 'attemps'"],
  ])('can not contradict each other: %j', (options, cure) => {
    expect(() => initOf(options)).toThrow(cure);
    expect(() => initOf(options)).toThrow(QueueOptionsException);
  });
});
