import { describe, expect, it } from '@jest/globals';
import { argumentsFrom, argumentsOf, NO_ARGUMENTS } from './arguments.js';
import { shownTerm } from './erlang-term.js';
import { encodeTable, fieldsOf, tableOf, valueOf } from './fields.js';
import type { FieldTable, FieldValue } from './message.js';

describe('arguments', () => {
  it('are the same in any order, and not with other types', () => {
    const one = argumentsOf({ a: 1, b: 'x' });
    expect(argumentsOf({ b: 'x', a: 1 }).id).toBe(one.id);
    expect(argumentsOf(encodeTable({ b: 'x', a: 1 })).id).toBe(one.id);
    expect(argumentsOf({ b: 'x', a: 1n }).id).not.toBe(one.id);
    expect(argumentsOf({ a: 1 }).id).not.toBe(one.id);
  });

  it('come back from what identifies them', () => {
    const before: FieldTable = { text: 'x', long: 2n ** 60n, none: null, deep: { a: [true, 1.5] } };
    const after = argumentsFrom(argumentsOf(before).id);
    expect(Object.fromEntries(after.fields.map((one) => [one.name, valueOf(one)]))).toEqual(before);
    expect(argumentsFrom('')).toBe(NO_ARGUMENTS);
    expect([argumentsOf({}), argumentsOf(undefined), argumentsOf(tableOf([]))]).toEqual(
      Array.from({ length: 3 }, () => NO_ARGUMENTS),
    );
  });
});

describe('a value in an error', () => {
  it.each<[FieldValue, string]>([
    ['text', '<<"text">>'],
    ['say "x"', String.raw`<<"say \"x\"">>`],
    ['ä', '<<195,164>>'],
    ['', '<<>>'],
    [Buffer.from('bytes'), '<<"bytes">>'],
    [5, '5'],
    [1.5, '1.5'],
    [-0, '0.0'],
    [true, 'true'],
    [null, 'undefined'],
    [new Date(7000), '7'],
    [{ a: 'b' }, '[{<<"a">>,longstr,<<"b">>}]'],
    [[1, 'x'], '[{signedint,1},{longstr,<<"x">>}]'],
  ])('%j is shown as the term %s', (value, shown) => {
    const [field] = fieldsOf(encodeTable({ value }));
    expect(field && shownTerm(field.bytes)).toBe(shown);
  });
});
