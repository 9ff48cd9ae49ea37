import { describe, expect, it } from '@jest/globals';
import { LIMITS } from '../limits.js';
import { Permissions, TopicPermissions } from './permissions.js';

describe('permissions', () => {
  it('match anywhere in a name unless anchored, and an empty one matches none', () => {
    const permissions = new Permissions({ configure: '', write: 'a', read: '^a$' });
    expect(permissions.allows('configure', 'a')).toBe(false);
    expect(permissions.allows('write', 'bab')).toBe(true);
    expect(permissions.allows('read', 'bab')).toBe(false);
    expect(permissions.allows('read', 'a')).toBe(true);
  });

  it('answer as before when more names were asked about than are remembered', () => {
    const permissions = new Permissions({ configure: '.*', write: '[02468]$', read: '.*' });
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 3 * LIMITS.knownNamesMax; i++)
        expect(permissions.allows('write', `q${i}`)).toBe(i % 2 === 0);
    }
  });
});

describe('topic permissions', () => {
  it('restrict only the exchanges that they name', () => {
    const topics = new TopicPermissions([['x', { write: '^a', read: '^b' }]], 'u', '/');
    expect([topics.restricts('x'), topics.restricts('y')]).toEqual([true, false]);
    expect([topics.allows('write', 'x', 'a.b'), topics.allows('read', 'x', 'a.b')]).toEqual([true, false]);
    expect(topics.allows('write', 'y', 'z')).toBe(true);
  });

  it('fill in the names of user and vhost, which are no regular expressions', () => {
    const topics = new TopicPermissions(
      [['x', { write: String.raw`^{username}\.{vhost}$`, read: '' }]],
      'a.*',
      '/',
    );
    expect(topics.allows('write', 'x', 'a.*./')).toBe(true);
    expect(topics.allows('write', 'x', 'abc./')).toBe(false);
  });
});
