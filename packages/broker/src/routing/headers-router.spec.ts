import { describe, expect, it } from '@jest/globals';
import type { Routable } from '../message/copy-keys.js';
import { EncodedMessage } from '../message/encoded-message.js';
import { argumentsOf } from '../message/arguments.js';
import { type Field, fieldsOf, tableOf } from '../message/fields.js';
import { propertyBytesOf, withHeaders } from '../message/headers.js';
import type { FieldTable } from '../message/message.js';
import { checkHeadersBinding, HeadersRouter } from './headers-router.js';

const field = (name: string, type: string, ...octets: number[]): Field => ({
  name,
  bytes: Buffer.from([type.charCodeAt(0), ...octets]),
});
const withFields = (fields: readonly Field[]): Routable =>
  new EncodedMessage('', '', withHeaders(propertyBytesOf({ properties: {} }), fields), Buffer.alloc(0));

function isRouted(args: FieldTable, headers: FieldTable | undefined): boolean {
  const router = new HeadersRouter<string>();
  router.bind('', 'q', argumentsOf(args).fields);
  return router.route('', { routingKey: '', properties: headers === undefined ? {} : { headers } }).size > 0;
}

/** All as measured on RabbitMQ 3.10.8. */
describe('a headers router', () => {
  it.each<[FieldTable, FieldTable | undefined, boolean]>([
    [{ 'x-match': 'all', a: 1, b: 'x' }, { a: 1, b: 'x', c: 2 }, true],
    [{ 'x-match': 'all', a: 1, b: 'x' }, { a: 1 }, false],
    [{ 'x-match': 'any', a: 1, b: 'x' }, { a: 1 }, true],
    [{ 'x-match': 'any', a: 1, b: 'x' }, { a: 2 }, false],
    [{ a: 1, b: 'x' }, { a: 1 }, false],
    [{ a: 1 }, { a: 1 }, true],
    [{}, { a: 1 }, true],
    [{ 'x-match': 'all' }, undefined, true],
    [{ 'x-match': 'any' }, { a: 1 }, false],
    [{ 'x-match': 'all', 'x-a': 1, b: 2 }, { b: 2 }, true],
    [{ 'x-match': 'any', 'x-a': 1, b: 2 }, { 'x-a': 1 }, false],
    [{ 'x-match': 'any', 'x-a': 1 }, {}, false],
    [{ 'x-match': 'all-with-x', 'x-a': 1 }, {}, false],
    [{ 'x-match': 'all-with-x', 'x-a': 1 }, { 'x-a': 1 }, true],
    [{ 'x-match': 'any-with-x', 'x-a': 1, b: 2 }, { 'x-a': 1 }, true],
    [{ 'x-match': 'all-with-x', a: 1 }, { a: 1, 'x-match': 'q' }, true],
  ])('%j takes %j: %s', (args, headers, expected) => {
    expect(isRouted(args, headers)).toBe(expected);
  });

  it.each<[string, FieldTable, FieldTable, boolean]>([
    ['integers of other sizes', { h: 1 }, { h: 1n }, true],
    ['an integer and a float', { h: 5 }, { h: -0 }, false],
    ['a string and a number', { h: '1' }, { h: 1 }, false],
    ['booleans', { h: true }, { h: true }, true],
    ['a boolean and a number', { h: true }, { h: 1 }, false],
    ['no value, which is presence', { h: null }, { h: 'anything' }, true],
    ['a value and none', { h: 'x' }, { h: null }, false],
    ['a timestamp and a number', { h: new Date(5000) }, { h: 5 }, true],
    ['bytes and a string', { h: Buffer.from('x') }, { h: 'x' }, true],
    ['tables', { h: { a: 1, b: 2 } }, { h: { a: 1, b: 2 } }, true],
    ['tables in another order', { h: { a: 1, b: 2 } }, { h: { b: 2, a: 1 } }, false],
    ['arrays', { h: [1, 'a'] }, { h: [1, 'a'] }, true],
    ['arrays of other types', { h: [1] }, { h: [1n] }, false],
    ['large integers', { h: 2n ** 60n }, { h: 2n ** 60n + 1n }, false],
  ])('compares %s', (_, args, headers, expected) => {
    expect(isRouted({ 'x-match': 'all', ...args }, headers)).toBe(expected);
    expect(isRouted({ 'x-match': 'any', ...args }, headers)).toBe(expected);
  });

  it('compares numbers of types that this process does not write', () => {
    const router = new HeadersRouter<string>();
    router.bind('', 'q', [field('h', 'b', 1)]);
    const one: [string, ...number[]][] = [
      ['B', 1],
      ['s', 0, 1],
      ['u', 0, 1],
      ['i', 0, 0, 0, 1],
      ['d', 0x3f, 0xf0, 0, 0, 0, 0, 0, 0],
      ['f', 0x3f, 0x80, 0, 0],
    ];
    for (const [type, ...octets] of one)
      expect([type, router.route('', withFields([field('h', type, ...octets)])).size]).toEqual([type, 1]);
    expect(router.route('', withFields([field('h', 'B', 2)])).size).toBe(0);
    // Decimals are not numbers to RabbitMQ: 0.5 is not 0.50.
    const decimals = new HeadersRouter<string>();
    decimals.bind('', 'q', [field('h', 'D', 1, 0, 0, 0, 5)]);
    expect(decimals.route('', withFields([field('h', 'D', 2, 0, 0, 0, 50)])).size).toBe(0);
    expect(decimals.route('', withFields([field('h', 'D', 1, 0, 0, 0, 5)])).size).toBe(1);
  });

  it('reaches a destination once, and unbinds the binding with these arguments only', () => {
    const router = new HeadersRouter<string>();
    const [a, b] = [argumentsOf({ a: 1 }).fields, argumentsOf({ b: 1 }).fields];
    router.bind('', 'q', a);
    router.bind('', 'q', b);
    const both = { routingKey: '', properties: { headers: { a: 1, b: 1 } } };
    expect([...router.route('', both)]).toEqual(['q']);
    expect(router.unbind('', 'q', a)).toBe(true);
    expect(router.unbind('', 'q', a)).toBe(false);
    expect(router.route('', { routingKey: '', properties: { headers: { a: 1 } } }).size).toBe(0);
    expect(router.route('', both).size).toBe(1);
  });

  it.each<[FieldTable, string]>([
    [{ 'x-match': 'foo' }, 'value <<"foo">>; expected all, any, all-with-x, or any-with-x'],
    [{ 'x-match': 5 }, 'type signedint (value 5); expected longstr'],
    [{ 'x-match': null }, 'type void (value undefined); expected longstr'],
    [{ 'x-match': { a: 1 } }, 'type table (value [{<<"a">>,signedint,1}]); expected longstr'],
  ])('refuses %j', (args, text) => {
    const fields = fieldsOf(tableOf(argumentsOf(args).fields));
    expect(() => checkHeadersBinding(fields)).toThrow(`PRECONDITION_FAILED - Invalid x-match field ${text}`);
  });
});
