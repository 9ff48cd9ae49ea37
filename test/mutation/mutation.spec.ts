import { describe, expect, it } from '@jest/globals';
import { mutate, mutated, UNCHANGED } from './mutate.js';
import { type Mutation, MUTATIONS } from './mutations.js';

const file = 'seats.controller.ts';
const HARMLESS: Mutation = {
  name: 'says it otherwise',
  file,
  search: 'Once a payment;',
  replace: 'Once each;',
};
const SENSELESS: Mutation = {
  name: 'can not be read',
  file,
  search: '@Controller()',
  replace: '@Controller(',
};

const verdicts = await mutate([...MUTATIONS, HARMLESS, SENSELESS]);

describe('the tests of sample/06-testing', () => {
  it('pass on a copy that is as it is', () => {
    expect(verdicts.get(UNCHANGED)).toEqual({ caughtBy: [] });
  });

  it.each(MUTATIONS)('find out an application that $name', ({ name }) => {
    expect(verdicts.get(name)).toEqual({ caughtBy: expect.arrayContaining([expect.any(String)]) });
  });
});

describe('the mutation check', () => {
  it('lets pass what breaks nothing, and does not count as found what does not run', () => {
    expect(verdicts.get(HARMLESS.name)).toEqual({ caughtBy: [] });
    expect(verdicts.get(SENSELESS.name)).toEqual({ caughtBy: [], broken: expect.stringContaining(file) });
  });

  it('fails with the name of a mutation that is not to be found, or in two places', () => {
    const twice: Mutation = { name: 'is vague', file, search: 'a', replace: 'b' };
    expect(() => mutated('aa', twice)).toThrow(
      `'is vague': 'a' is in ${file} 2 times, and must be there once.`,
    );
    expect(() => mutated('b', twice)).toThrow('0 times');
  });
});
