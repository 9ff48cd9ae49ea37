import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Policy } from './definitions/access-definitions.js';
import { ManualClock } from './clock.js';
import { encodeKey } from './definitions/definitions.js';
import { MemoryStore } from './store/memory-store.js';
import { Vhosts } from './vhosts.js';

const OWNER = {};
const environment = {
  clock: new ManualClock(),
  random: () => 0,
  schedule: () => {},
  later: () => {},
  onReadFailure: () => {},
};
const definitions = new Map<string, unknown>();
let vhosts: Vhosts;

function policy(pattern: string, applyTo: Policy['applyTo'], setting: string, value: unknown = 1): Policy {
  return { pattern, applyTo, priority: 0, definition: { [setting]: value } };
}

beforeEach(() => {
  definitions.clear();
  vhosts = new Vhosts({
    ...environment,
    store: new MemoryStore(),
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
    definitions.set(
      encodeKey(['policy', '/', 'exchanges']),
      policy('^x', 'exchanges', 'alternate-exchange', '1'),
    );
    definitions.set(encodeKey(['operator-policy', '/', 'o']), policy('^q', 'queues', 'expires'));
    definitions.set(encodeKey(['queue', '/', 'q1']), { id: 1, autoDelete: false });
    restore();
  });

  it('are in effect for what was found, and for what is declared', () => {
    const vhost = vhosts.get('/');
    const limited = { lengthMax: 1, expiresMs: 1 };
    expect(vhost.queue('q1', OWNER).settings).toMatchObject(limited);
    expect(vhost.declareQueue('q2', {}, OWNER).settings).toMatchObject(limited);
    expect(vhost.declareQueue('other', {}, OWNER).settings.lengthMax).toBeUndefined();
    expect(vhosts.get('v').declareQueue('q1', {}, OWNER).settings.lengthMax).toBeUndefined();
    vhost.declareExchange('x', { type: 'direct' });
    vhost.declareQueue('alternate', {}, OWNER);
    vhost.declareExchange('1', { type: 'fanout' });
    vhost.bind({ source: '1', destination: 'alternate', key: '' }, OWNER);
    const message = { exchange: 'x', routingKey: 'k', properties: {}, body: Buffer.alloc(0) };
    expect(vhost.publish(message)).toBe('routed');
    vhosts.registry.clearPolicy('/', 'exchanges');
    expect(vhost.publish(message)).toBe('unroutable');
  });

  it('are taken back when they are cleared', () => {
    const queue = vhosts.get('/').queue('q1', OWNER);
    vhosts.registry.clearPolicy('/', 'queues');
    expect(queue.settings).toMatchObject({ lengthMax: undefined, expiresMs: 1 });
    vhosts.registry.clearOperatorPolicy('/', 'o');
    expect(queue.settings.expiresMs).toBeUndefined();
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
    vhosts = new Vhosts({ ...environment, store });
    restore();
    vhosts.registry.setVhost('v', { description: '', tags: [] });
    const vhost = vhosts.get('v');
    vhost.declareExchange('x', { type: 'topic' });
    vhost.declareQueue('q', {}, OWNER);
    vhost.bind({ destination: 'q', source: 'x', key: 'a' }, OWNER);
    vhost.declareExchange('y', { type: 'x-delayed-message', arguments: { 'x-delayed-type': 'direct' } });
    vhost.bindExchange({ source: 'y', destination: 'x', key: 'b' });
    vhost.bindExchange({ source: 'amq.topic', destination: 'x', key: 'b' });
    vhost.bind({ destination: 'q', source: 'amq.topic', key: 'a' }, OWNER);
    expect(defined.size).toBe(9);
    vhosts.registry.deleteVhost('v');
    expect(defined.size).toBe(0);
    expect(() => vhosts.get('v')).toThrow('not found');
  });
});
