import { describe, expect, it } from '@jest/globals';
import { RetryLaterException, UnrecoverableException } from '../retry.exceptions.js';
import { handlerOf } from './handling.spec.support.js';
import { outcomeOf } from './outcome.js';

const { retry } = handlerOf({
  retry: { attempts: 3, delay: 100, jitter: 0, except: [RangeError] },
}).policy;

describe('an error in an attempt', () => {
  it('is followed by another, until there is none left', () => {
    const error = new Error('no');
    expect(outcomeOf(error, 1, retry)).toEqual({ kind: 'retry', delayMs: 100, counts: true, error });
    expect(outcomeOf(error, 2, retry)).toEqual({ kind: 'retry', delayMs: 200, counts: true, error });
    expect(outcomeOf(error, 3, retry)).toEqual({ kind: 'dead', reason: 'attempts', error });
    expect(outcomeOf(error, 9, retry)).toMatchObject({ kind: 'dead' });
  });

  it('is the last at once when its class is not tried again, or it says so', () => {
    expect(outcomeOf(new RangeError('no'), 1, retry)).toMatchObject({ kind: 'dead', reason: 'attempts' });
    expect(outcomeOf(new UnrecoverableException('no'), 1, retry)).toMatchObject({
      kind: 'dead',
      reason: 'unrecoverable',
    });
  });

  it('may ask for another attempt at its own time', () => {
    expect(outcomeOf(new RetryLaterException('5m'), 2, retry)).toMatchObject({
      kind: 'retry',
      delayMs: 300_000,
      counts: true,
    });
    expect(outcomeOf(new RetryLaterException(), 2, retry)).toMatchObject({ kind: 'retry', delayMs: 200 });
    expect(outcomeOf(new RetryLaterException(0), 3, retry)).toMatchObject({
      kind: 'dead',
      reason: 'attempts',
    });
  });

  it('may ask for attempts without end', () => {
    const error = new RetryLaterException(7, { counts: false });
    expect(outcomeOf(error, 3, retry)).toEqual({ kind: 'retry', delayMs: 7, counts: false, error });
    expect(outcomeOf(error, 300, retry)).toMatchObject({ kind: 'retry' });
    expect(() => new RetryLaterException(7, { counts: 'no' as never })).toThrow(
      "'counts' is 'no'. Give true",
    );
  });

  it('may be anything that was thrown', () => {
    for (const error of [undefined, null, 'text', 0])
      expect(outcomeOf(error, 1, retry)).toMatchObject({ kind: 'retry', error });
  });
});
