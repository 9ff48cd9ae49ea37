import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { LIMITS } from '../limits.js';
import { argumentsOf } from '../message/arguments.js';
import type { FieldTable, FieldValue } from '../message/message.js';
import { DeduplicatingRouter, rememberedIdsOf } from './deduplicating-router.js';
import type { Admission } from './seen-ids.js';

const clock = new ManualClock();

function deduplication(args: FieldTable): {
  isRouted: (id: FieldValue | undefined, ttlMs?: FieldValue) => boolean;
  admissions: Admission[];
} {
  const admissions: Admission[] = [];
  const remembered = rememberedIdsOf(argumentsOf(args).fields);
  const router = new DeduplicatingRouter<string>(remembered, clock, (one) => admissions.push(one));
  router.bind('k', 'q');
  const isRouted = (id: FieldValue | undefined, ttlMs?: FieldValue): boolean => {
    const headers = { 'x-deduplication-header': id, 'x-cache-ttl': ttlMs };
    return router.route('any', { routingKey: 'any', properties: { headers } }).size === 1;
  };
  return { isRouted, admissions };
}

describe('a deduplicating router', () => {
  it('lets each id through once, and what has none always', () => {
    const { isRouted, admissions } = deduplication({ 'x-cache-size': 100 });
    const ids: FieldValue[] = ['a', 'b', 1, 'x'.repeat(1000), `${'x'.repeat(999)}y`, { a: 1 }];
    for (const id of ids) expect([id, isRouted(id)]).toEqual([id, true]);
    for (const id of ids) expect([id, isRouted(id)]).toEqual([id, false]);
    expect(admissions).toHaveLength(ids.length);
    for (let i = 0; i < 3; i++) expect([isRouted(undefined), isRouted(null)]).toEqual([true, true]);
    expect(admissions).toHaveLength(ids.length);
  });

  it('forgets an id after its time, which the message may say', () => {
    const { isRouted } = deduplication({ 'x-cache-size': 100, 'x-cache-ttl': 1000 });
    expect([isRouted('a'), isRouted('b', 3000)]).toEqual([true, true]);
    clock.advance(999);
    expect([isRouted('a'), isRouted('b')]).toEqual([false, false]);
    clock.advance(1);
    expect([isRouted('a'), isRouted('b')]).toEqual([true, false]);
    clock.advance(2000);
    expect(isRouted('b')).toBe(true);
  });

  it('forgets the oldest when it is full', () => {
    const { isRouted } = deduplication({ 'x-cache-size': '2' });
    expect(['a', 'b', 'c'].map((id) => isRouted(id))).toEqual([true, true, true]);
    expect(['b', 'c', 'a'].map((id) => isRouted(id))).toEqual([false, false, true]);
    // And 'b' was older than 'c'.
    expect(['c', 'b'].map((id) => isRouted(id))).toEqual([false, true]);
  });

  it('forgets what was not stored after all, and not what took its place since', () => {
    const { isRouted, admissions } = deduplication({ 'x-cache-size': 10, 'x-cache-ttl': 1000 });
    expect(isRouted('a')).toBe(true);
    admissions[0]?.forget();
    expect(isRouted('a')).toBe(true);
    admissions[0]?.forget();
    expect(isRouted('a')).toBe(false);
  });

  it.each<[FieldTable, string]>([
    [{}, "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0"],
    [{ 'x-cache-size': 0 }, "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0"],
    [
      { 'x-cache-size': 'x' },
      "Missing or invalid argument, 'x-cache-size' must be an integer greater than 0",
    ],
    [
      { 'x-cache-size': LIMITS.seenIdsMax + 1 },
      `Invalid argument, 'x-cache-size' must be an integer up to ${LIMITS.seenIdsMax}`,
    ],
    [
      { 'x-cache-size': 1, 'x-cache-ttl': 1.5 },
      "Invalid argument, 'x-cache-ttl' must be an integer greater than 0",
    ],
    [
      { 'x-cache-size': 1, 'x-cache-persistence': 'paper' },
      "Invalid argument, 'x-cache-persistence' must be either 'disk' or 'memory'",
    ],
    [{ 'x-cache-size': 1, 'x-cache-persistence': 'disk' }, "'x-cache-persistence' can only be 'memory' here"],
  ])('refuses %j', (args, text) => {
    expect(() => rememberedIdsOf(argumentsOf(args).fields)).toThrow(`PRECONDITION_FAILED - ${text}`);
  });
});
