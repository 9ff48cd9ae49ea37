import { describe, expect, it } from '@jest/globals';
import { argumentsOf } from '../message/arguments.js';
import type { Routable } from '../message/copy-keys.js';
import type { FieldTable, MessageProperties } from '../message/message.js';
import { checkWeight, ConsistentHashRouter, hashOnOf } from './consistent-hash-router.js';

const KEYS = Array.from({ length: 20_000 }, (_, i) => `key.${i}`);
const named = (destination: string): string => destination;

function routerOf(weights: Record<string, string>, args: FieldTable = {}): ConsistentHashRouter<string> {
  const router = new ConsistentHashRouter<string>(hashOnOf(argumentsOf(args).fields, 'x'), named);
  for (const [queue, weight] of Object.entries(weights)) router.bind(weight, queue);
  return router;
}

function one(router: ConsistentHashRouter<string>, key: string, properties: MessageProperties = {}): string {
  const message: Routable = { routingKey: key, properties };
  return [...router.route(key, message)].join(' and ');
}

function shares(router: ConsistentHashRouter<string>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const key of KEYS) counts[one(router, key)] = (counts[one(router, key)] ?? 0) + 1;
  return counts;
}

describe('a consistent hash router', () => {
  it('sends each key to one destination, and as many keys to each', () => {
    const queues = Array.from({ length: 10 }, (_, i) => `q${i}`);
    const counts = shares(routerOf(Object.fromEntries(queues.map((queue) => [queue, '1']))));
    expect(Object.keys(counts).toSorted()).toEqual(queues);
    for (const count of Object.values(counts)) {
      expect(count).toBeGreaterThan(0.93 * 2000);
      expect(count).toBeLessThan(1.07 * 2000);
    }
  });

  it('sends as many to each as its weight says, also a very large one', () => {
    const counts = shares(routerOf({ a: '1', b: '2', c: '7' }));
    for (const [queue, share] of Object.entries({ a: 0.1, b: 0.2, c: 0.7 }))
      expect(Math.abs((counts[queue] ?? 0) / KEYS.length - share)).toBeLessThan(0.01);
    expect(shares(routerOf({ a: '1', b: '99999999999' }))).toEqual({ b: KEYS.length });
  });

  it('moves only keys to a destination that comes, and of one that goes', () => {
    const router = routerOf({ a: '1', b: '1', c: '1' });
    const before = KEYS.map((key) => one(router, key));
    router.bind('1', 'd');
    const between = KEYS.map((key) => one(router, key));
    const moved = between.filter((queue, i) => queue !== before[i]);
    expect(new Set(moved)).toEqual(new Set(['d']));
    expect(Math.abs(moved.length / KEYS.length - 0.25)).toBeLessThan(0.02);
    router.unbind('1', 'd');
    expect(KEYS.map((key) => one(router, key))).toEqual(before);
    router.unbind('1', 'b');
    for (const [i, key] of KEYS.entries()) if (before[i] !== 'b') expect(one(router, key)).toBe(before[i]);
  });

  it('knows by names alone where a key goes: the order of bindings does not matter', () => {
    const [router, other] = [routerOf({ a: '1', b: '3', c: '2' }), routerOf({ c: '2', b: '3', a: '1' })];
    for (const key of KEYS.slice(0, 1000)) expect(one(router, key)).toBe(one(other, key));
  });

  it('goes by the first of several bindings of a destination', () => {
    const router = routerOf({ a: '1', b: '1' });
    const before = shares(router);
    router.bind('100', 'a');
    expect(shares(router)).toEqual(before);
    expect(router.unbind('1', 'a')).toBe(true);
    expect(shares(router)['a']).toBeGreaterThan(0.98 * KEYS.length);
    expect(router.unbind('100', 'a')).toBe(true);
    expect(router.unbind('100', 'a')).toBe(false);
    expect(shares(router)).toEqual({ b: KEYS.length });
    router.unbind('1', 'b');
    expect(one(router, 'k')).toBe('');
  });

  it('goes by a header or a property, and not by the routing key, where it is told to', () => {
    const weights = { a: '1', b: '1', c: '1' };
    const byHeader = routerOf(weights, { 'hash-header': 'h' });
    const used = new Set(KEYS.slice(0, 99).map((h) => one(byHeader, 'same', { headers: { h } })));
    expect(used.size).toBe(3);
    for (const headers of [{ h: 'x' }, {}]) {
      const to = KEYS.slice(0, 99).map((key) => one(byHeader, key, { headers }));
      expect(new Set(to).size).toBe(1);
    }
    for (const [property, name] of [
      ['message_id', 'messageId'],
      ['correlation_id', 'correlationId'],
    ] as const) {
      const router = routerOf(weights, { 'hash-property': property });
      expect(new Set(KEYS.slice(0, 99).map((id) => one(router, 'same', { [name]: id }))).size).toBe(3);
      expect(new Set(KEYS.slice(0, 99).map((key) => one(router, key, { [name]: 'x' }))).size).toBe(1);
    }
    const byTime = routerOf(weights, { 'hash-property': 'timestamp' });
    expect(new Set(KEYS.slice(0, 99).map((_, i) => one(byTime, 'same', { timestamp: i }))).size).toBe(3);
  });

  it('refuses weights and arguments as the plugin does', () => {
    const refused = 'PRECONDITION_FAILED - The binding key must be';
    for (const key of ['x', '1.5', ' 1', '1 '])
      expect(() => checkWeight(key)).toThrow(`${refused} an integer: <<"${key}">>`);
    expect(() => checkWeight('')).toThrow(`${refused} an integer: <<>>`);
    for (const key of ['0', '-1']) expect(() => checkWeight(key)).toThrow(`${refused} greater than 0`);
    for (const key of ['1', '+2', '007']) expect(() => checkWeight(key)).not.toThrow();
    expect(() => routerOf({}, { 'hash-header': 'a', 'hash-property': 'message_id' })).toThrow(
      'PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive',
    );
    expect(() => routerOf({}, { 'hash-property': 'app_id' })).toThrow(
      'PRECONDITION_FAILED - Unsupported property: app_id',
    );
    expect(() => routerOf({}, { 'hash-header': 5 })).toThrow(
      "PRECONDITION_FAILED - invalid type 'signedint' for arg 'hash-header' in x",
    );
  });
});
