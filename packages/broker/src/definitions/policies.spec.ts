import { describe, expect, it } from '@jest/globals';
import type { Policy } from './access-definitions.js';
import { Policies } from './policies.js';

const policy = (given: Partial<Policy>): Policy => ({
  pattern: '.*',
  applyTo: 'all',
  priority: 0,
  definition: {},
  ...given,
});

describe('the policy in effect', () => {
  it('is the one of the highest priority whose pattern and scope match, and no other', () => {
    const policies = new Policies(
      [
        ['low', policy({ definition: { 'max-length': 1, expires: 5 } })],
        ['high', policy({ pattern: '^q', priority: 9, applyTo: 'queues', definition: { 'max-length': 2 } })],
        [
          'exchanges',
          policy({ priority: 20, applyTo: 'exchanges', definition: { 'alternate-exchange': 'x' } }),
        ],
        ['quorum', policy({ priority: 30, applyTo: 'quorum_queues', definition: { 'delivery-limit': 3 } })],
      ],
      [],
    );
    const nameFor = (name: string, kind: 'queue' | 'exchange', queueType?: 'quorum'): string | undefined =>
      policies.effectiveFor({ name, kind, ...(queueType === undefined ? {} : { queueType }) })?.policy;
    expect(nameFor('q1', 'queue')).toBe('high');
    expect(nameFor('a', 'queue')).toBe('low');
    expect(nameFor('q1', 'exchange')).toBe('exchanges');
    expect(nameFor('q1', 'queue', 'quorum')).toBe('quorum');
    expect(policies.effectiveFor({ kind: 'queue', name: 'q1' })?.definition).toEqual({ 'max-length': 2 });
  });

  it('is none where nothing matches', () => {
    const policies = new Policies([['p', policy({ pattern: '^x' })]], []);
    expect(policies.effectiveFor({ kind: 'queue', name: 'q' })).toBeUndefined();
  });

  it('does not depend on the order of definition', () => {
    const [a, b] = [policy({ definition: { a: 1 } }), policy({ definition: { b: 1 } })];
    const subject = { kind: 'queue', name: 'q' } as const;
    expect(
      new Policies(
        [
          ['a', a],
          ['b', b],
        ],
        [],
      ).effectiveFor(subject),
    ).toEqual(
      new Policies(
        [
          ['b', b],
          ['a', a],
        ],
        [],
      ).effectiveFor(subject),
    );
  });

  it('has limits lowered by an operator policy, never raised, and its other settings replaced', () => {
    const own = policy({ definition: { 'max-length': 10, 'message-ttl': 50, overflow: 'drop-head' } });
    const operators = policy({
      definition: { 'max-length': 5, 'message-ttl': 90, expires: 7, overflow: 'reject-publish' },
    });
    expect(new Policies([['p', own]], [['o', operators]]).effectiveFor({ kind: 'queue', name: 'q' })).toEqual(
      {
        policy: 'p',
        operatorPolicy: 'o',
        definition: { 'max-length': 5, 'message-ttl': 50, expires: 7, overflow: 'reject-publish' },
      },
    );
    const alone = new Policies([], [['o', operators]]).effectiveFor({ kind: 'queue', name: 'q' });
    expect(alone?.definition).toEqual(operators.definition);
  });
});
