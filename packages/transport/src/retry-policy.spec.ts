import { describe, expect, it } from '@jest/globals';
import { HandlerTimeoutException } from './retry.exceptions.js';
import { RetryPolicy, type RetryPolicyInit } from './retry-policy.js';

const policy = (init: Partial<RetryPolicyInit> = {}): RetryPolicy =>
  new RetryPolicy({
    attempts: 5,
    delaysMs: 250,
    factor: 2,
    maxDelayMs: 60_000,
    jitter: 0,
    on: undefined,
    except: [],
    ...init,
  });

const delays = (one: RetryPolicy, attempts: readonly number[], random = 0): number[] =>
  attempts.map((attempt) => one.delayAfter(attempt, () => random));

describe('the wait after a failed attempt', () => {
  it('grows by the factor up to the maximum', () => {
    expect(delays(policy({ maxDelayMs: 1500 }), [1, 2, 3, 4, 1000])).toEqual([250, 500, 1000, 1500, 1500]);
  });

  it('stays the same with the factor 1', () => {
    expect(delays(policy({ factor: 1 }), [1, 2, 50])).toEqual([250, 250, 250]);
  });

  it('is taken from a list, the last for all that follow, beyond any maximum', () => {
    expect(delays(policy({ delaysMs: [10, 20, 900_000], maxDelayMs: 100 }), [1, 2, 3, 4])).toEqual([
      10, 20, 900_000, 900_000,
    ]);
  });

  it('is shorter by a random part, in whole milliseconds', () => {
    expect(delays(policy({ delaysMs: 1001, factor: 1, jitter: 0.5 }), [1], 1)).toEqual([501]);
    expect(delays(policy({ delaysMs: 1001, factor: 1, jitter: 0.5 }), [1], 0)).toEqual([1001]);
  });

  it('is none for a delay of 0, however often', () => {
    expect(delays(policy({ delaysMs: 0, factor: 100 }), [1, 155, 156, 1000])).toEqual([0, 0, 0, 0]);
  });

  it('is random by itself', () => {
    const one = policy({ delaysMs: 1_000_000, maxDelayMs: 1_000_000, jitter: 1 });
    expect(one.delayAfter(1)).not.toBe(one.delayAfter(1));
  });
});

describe('an error', () => {
  class Payment extends Error {}
  class Declined extends Payment {}

  it.each([
    ['all', policy(), [true, true, true, true, true]],
    ['those of a class', policy({ on: [Payment] }), [false, true, true, true, false]],
    ['all but a class', policy({ except: [Payment] }), [true, false, false, true, true]],
    [
      'a class but one of it',
      policy({ on: [Payment], except: [Declined] }),
      [false, true, false, true, false],
    ],
    ['none but a lack of time', policy({ on: [] }), [false, false, false, true, false]],
    [
      'all but a lack of time',
      policy({ except: [HandlerTimeoutException] }),
      [true, true, true, false, true],
    ],
  ])('is tried again: %s', (_what, one, expected) => {
    const errors = [
      new Error('x'),
      new Payment(),
      new Declined(),
      new HandlerTimeoutException('p', 5),
      'no error',
    ];
    expect(errors.map((error) => one.mayRetry(error))).toEqual(expected);
  });
});
