import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from '../broker.js';
import { importDefinitions } from './definitions-import.js';

let broker: Broker;
beforeEach(async () => {
  broker = await openBroker({});
});
afterEach(() => broker.close());

const queue = { name: 'q', vhost: '/', durable: true, auto_delete: false, arguments: {} };
const binding = { vhost: '/', destination: 'q', destination_type: 'queue', routing_key: '', arguments: {} };
const permission = { configure: '', write: '', read: '' };
const BASE = { users: [{ name: 'u', password: 'x' }], vhosts: [{ name: 'v' }], queues: [queue] };

const importing = (part: object, skipUnsupported = false): ReturnType<typeof importDefinitions> =>
  importDefinitions(broker, JSON.stringify({ ...BASE, ...part }), { skipUnsupported });

const CASES: [string, object, string][] = [
  ['no user', { permissions: [{ user: 'no', vhost: 'v', ...permission }] }, "there is no user 'no'"],
  ['no vhost', { permissions: [{ user: 'u', vhost: 'no', ...permission }] }, "there is no vhost 'no'"],
  ['a queue in no vhost', { queues: [queue, { ...queue, vhost: 'no' }] }, "there is no vhost 'no'"],
  ['a binding of no exchange', { bindings: [{ ...binding, source: 'no' }] }, "there is no exchange 'no'"],
  [
    'a binding of no queue',
    { bindings: [{ ...binding, source: 'amq.direct', destination: 'no' }] },
    "there is no queue 'no'",
  ],
  ['a user without a name', { users: [...BASE.users, { name: '', password: 'x' }] }, 'its name is empty'],
  ['a vhost with a name that is too long', { vhosts: [{ name: 'v'.repeat(256) }] }, 'its name is too long'],
];

describe('definitions with', () => {
  it.each(CASES)('%s are refused, with nothing changed, or imported without', async (_, part, fault) => {
    await expect(importing(part)).rejects.toThrow(fault);
    expect([...broker.registry.users.keys()]).toEqual([]);
    expect([...broker.registry.vhosts.keys()]).toEqual(['/']);
    expect(broker.connect().hasQueue('q')).toBe(false);
    const { skipped } = await importing(part, true);
    expect(skipped).toEqual([expect.stringContaining(fault)]);
    expect(broker.connect().hasQueue('q')).toBe(true);
  });

  it('names of what is there already, or comes with every vhost, are imported', async () => {
    const connection = broker.connect();
    await connection.declareQueue('old');
    await connection.declareExchange('x', { type: 'topic' });
    const bindings = [
      { ...binding, source: 'x', destination: 'old' },
      { ...binding, source: 'amq.fanout' },
    ];
    expect((await importing({ bindings })).skipped).toEqual([]);
  });

  it('a queue that a server has named are imported', async () => {
    await importing({ queues: [{ ...queue, name: 'amq.gen-x' }] });
    expect(broker.connect().checkQueue('amq.gen-x')).toMatchObject({ messageCount: 0 });
  });
});
