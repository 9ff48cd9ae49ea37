import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Policy } from './definitions/access-definitions.js';
import { encodeKey } from './definitions/definitions.js';
import { MemoryStore } from './store/memory-store.js';
import { Vhosts } from './vhosts.js';

const OWNER = {};
const definitions = new Map<string, unknown>();
let vhosts: Vhosts;

function policy(pattern: string, applyTo: Policy['applyTo'], setting: string): Policy {
  return { pattern, applyTo, priority: 0, definition: { [setting]: 1 } };
}

beforeEach(() => {
  definitions.clear();
  vhosts = new Vhosts({
    store: new MemoryStore(),
    schedule: () => {},
    later: () => {},
    onReadFailure: () => {},
  });
});

function restore(): void {
  vhosts.restore({ definitions, entries: new Map(), lacksSnapshot: false });
  vhosts.registry.listen({
    vhostAdded: (name) => vhosts.vhostAdded(name),
    vhostDeleted: (name) => vhosts.vhostDeleted(name),
    policiesChanged: (name) => vhosts.policiesChanged(name),
    userDeleted: () => {},
  });
}

describe('policies', () => {
  beforeEach(() => {
    definitions.set(encodeKey(['vhost', 'v']), { description: '', tags: [] });
    definitions.set(encodeKey(['policy', '/', 'queues']), policy('^q', 'queues', 'max-length'));
    definitions.set(encodeKey(['policy', '/', 'exchanges']), policy('^x', 'exchanges', 'alternate-exchange'));
    definitions.set(encodeKey(['operator-policy', '/', 'o']), policy('^q', 'queues', 'expires'));
    definitions.set(encodeKey(['queue', '/', 'q1']), { id: 1, autoDelete: false });
    restore();
  });

  it('are in effect for what was found, and for what is declared', () => {
    const vhost = vhosts.get('/');
    expect(vhost.queue('q1', OWNER).policy).toEqual({ 'max-length': 1, expires: 1 });
    expect(vhost.declareQueue('q2', {}, OWNER).policy).toEqual({ 'max-length': 1, expires: 1 });
    expect(vhost.declareQueue('other', {}, OWNER).policy).toBeUndefined();
    expect(vhost.declareExchange('x', { type: 'direct' }).policy).toEqual({ 'alternate-exchange': 1 });
    expect(vhosts.get('v').declareQueue('q1', {}, OWNER).policy).toBeUndefined();
  });

  it('are taken back when they are cleared', () => {
    const queue = vhosts.get('/').queue('q1', OWNER);
    vhosts.registry.clearPolicy('/', 'queues');
    expect(queue.policy).toEqual({ expires: 1 });
    vhosts.registry.clearOperatorPolicy('/', 'o');
    expect(queue.policy).toBeUndefined();
  });
});

describe('vhosts', () => {
  it('never give an id twice, also not one that a queue of another vhost had before', () => {
    definitions.set(encodeKey(['vhost', 'v']), { description: '', tags: [] });
    definitions.set(encodeKey(['queue', 'v', 'q']), { id: 7, autoDelete: false });
    restore();
    expect(vhosts.get('/').declareQueue('a', {}, OWNER).init.id).toBe(8);
    expect(vhosts.get('v').declareQueue('b', {}, OWNER).init.id).toBe(9);
  });

  it('of an old directory are one, and one that only a queue names is there too', () => {
    definitions.set(encodeKey(['queue', '/', 'q']), { id: 1, autoDelete: false });
    definitions.set(encodeKey(['queue', 'lost', 'q']), { id: 2, autoDelete: false });
    restore();
    expect([...vhosts.registry.vhosts.keys()]).toEqual(['/', 'lost']);
    expect(vhosts.get('lost').queue('q', OWNER).init.id).toBe(2);
    expect(() => vhosts.get('none')).toThrow('NOT_ALLOWED - vhost none not found');
  });

  it('that are deleted take all their definitions with them', () => {
    const defined = new Map<string, unknown>();
    const store = Object.assign(new MemoryStore(), {
      define: (key: string, value: unknown) =>
        value === null ? defined.delete(key) : defined.set(key, value),
    });
    vhosts = new Vhosts({ store, schedule: () => {}, later: () => {}, onReadFailure: () => {} });
    restore();
    vhosts.registry.setVhost('v', { description: '', tags: [] });
    const vhost = vhosts.get('v');
    vhost.declareExchange('x', { type: 'topic' });
    vhost.declareQueue('q', {}, OWNER);
    vhost.bind('q', 'x', 'a', OWNER);
    vhost.bind('q', 'amq.topic', 'a', OWNER);
    expect(defined.size).toBe(5);
    vhosts.registry.deleteVhost('v');
    expect(defined.size).toBe(0);
    expect(() => vhosts.get('v')).toThrow('not found');
  });
});
