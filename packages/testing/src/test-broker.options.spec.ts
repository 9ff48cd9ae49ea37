import { describe, expect, it } from '@jest/globals';
import { normaliseTestBrokerOptions, type TestBrokerOptions } from './test-broker.options.js';

describe('the options of a TestBroker', () => {
  it('need not be given', () => {
    expect(normaliseTestBrokerOptions({})).toEqual({ listen: false, clock: 'system' });
    expect(normaliseTestBrokerOptions({ listen: true, clock: 'manual' })).toEqual({
      listen: true,
      clock: 'manual',
    });
  });

  it.each([
    [{ lisen: true }, "the unknown option 'lisen'. Options here are: listen, clock."],
    [{ listen: 5672 }, "'listen' is neither true nor false."],
    [{ clock: 'fake' }, "'clock' is neither 'system' nor 'manual'."],
  ])('are refused when they can not be meant: %j', (options, message) => {
    expect(() => normaliseTestBrokerOptions(options as unknown as TestBrokerOptions)).toThrow(message);
  });
});
