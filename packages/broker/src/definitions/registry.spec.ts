import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Policy } from './access-definitions.js';
import { Registry } from './registry.js';

const USER = { hashingAlgorithm: 'scrypt', passwordHash: '', tags: ['administrator'] } as const;
const ALL = { configure: '.*', write: '.*', read: '.*' };
const KEYS = new Map([
  [
    'max-length',
    {
      appliesTo: 'queues' as const,
      fault: (value: unknown) => (Number.isInteger(value) ? undefined : 'must be a whole number'),
    },
  ],
]);
const POLICY: Policy = { pattern: '^q', applyTo: 'queues', priority: 1, definition: { 'max-length': 5 } };

let log: Map<string, unknown>;
let registry: Registry;
beforeEach(() => {
  log = new Map();
  registry = new Registry(
    { define: (key, value) => (value === null ? log.delete(key) : log.set(key, value)) },
    KEYS,
  );
});

describe('the registry', () => {
  it('has after a restart what it had', () => {
    registry.setUser('u', USER);
    registry.setVhost('v', { description: 'd', tags: ['t'] });
    registry.setPermission('u', 'v', ALL);
    registry.setTopicPermission(['topic-permission', 'u', 'v', 'x'], { write: 'a', read: 'b' });
    registry.setPolicy('v', 'p', POLICY);
    registry.setOperatorPolicy('v', 'o', POLICY);
    const again = new Registry({ define: () => {} });
    again.restore(log);
    expect([...again.users]).toEqual([['u', USER]]);
    expect([...again.vhosts.keys()]).toEqual(['/', 'v']);
    expect(again.permission('u', 'v')).toEqual(ALL);
    expect(again.topicPermissions).toEqual(registry.topicPermissions);
    expect(again.policies).toEqual([[['policy', 'v', 'p'], POLICY]]);
    expect(again.operatorPolicies).toEqual([[['operator-policy', 'v', 'o'], POLICY]]);
  });

  it('takes permissions and policies away with their user or vhost', () => {
    registry.setUser('u', USER);
    registry.setVhost('v', { description: '', tags: [] });
    registry.setPermission('u', 'v', ALL);
    registry.setPermission('u', '/', ALL);
    registry.setPolicy('v', 'p', POLICY);
    registry.deleteVhost('v');
    expect(registry.permissions).toEqual([[['permission', 'u', '/'], ALL]]);
    expect(registry.policies).toEqual([]);
    registry.deleteUser('u');
    expect(log.size).toBe(0);
  });

  it('changes its version with each change, and with nothing else', () => {
    const before = registry.version;
    registry.setUser('u', USER);
    expect(registry.version).not.toBe(before);
    const after = registry.version;
    registry.clearPermission('u', '/');
    expect(registry.version).toBe(after);
  });

  it('tells of policies that are changed together once, when all are there, also when one is refused', () => {
    const told: [string, number][] = [];
    const policiesChanged = (vhost: string): void => void told.push([vhost, registry.policies.length]);
    registry.listen({ vhostAdded() {}, vhostDeleted() {}, userDeleted() {}, policiesChanged });
    registry.together(() => {
      registry.setPolicy('/', 'a', POLICY);
      registry.setPolicy('/', 'b', POLICY);
    });
    expect(told).toEqual([['/', 2]]);
    const change = (): void => {
      registry.clearPolicy('/', 'a');
      registry.clearPolicy('/', 'a');
    };
    expect(() => registry.together(change)).toThrow("There is no policy 'a'");
    registry.clearPolicy('/', 'b');
    expect(told.slice(1)).toEqual([
      ['/', 1],
      ['/', 0],
    ]);
  });

  it('refuses what refers to nothing, or can not be', () => {
    registry.setUser('u', USER);
    const refused: [() => void, string][] = [
      [() => registry.setPermission('nobody', '/', ALL), "There is no user 'nobody'"],
      [() => registry.setPermission('u', 'none', ALL), "There is no vhost 'none'"],
      [() => registry.setPermission('u', '/', { ...ALL, read: '(' }), 'no regular expression'],
      [() => registry.deleteVhost('/'), "can't be deleted"],
      [() => registry.setUser('', USER), 'empty'],
      [() => registry.setVhost('v'.repeat(256), { description: '', tags: [] }), 'too long'],
      [() => registry.setUser('x', { ...USER, passwordHash: 'bad' }), 'password hash'],
      [() => registry.clearPolicy('/', 'p'), "There is no policy 'p'"],
      [() => registry.setPolicy('/', 'p', { ...POLICY, definition: {} }), 'sets nothing'],
      [
        () => registry.setPolicy('/', 'p', { ...POLICY, definition: { foo: 1 } }),
        "sets 'foo', which has no effect",
      ],
      [() => registry.setPolicy('/', 'p', { ...POLICY, definition: { 'max-length': 'x' } }), 'whole number'],
      [() => registry.setPolicy('/', 'p', { ...POLICY, applyTo: 'streams' as 'all' }), "apply to 'streams'"],
      [() => registry.setPolicy('/', 'p', { ...POLICY, priority: 0.5 }), 'priority 0.5'],
    ];
    const size = log.size;
    for (const [call, why] of refused) expect(call).toThrow(why);
    expect(log.size).toBe(size);
  });
});
