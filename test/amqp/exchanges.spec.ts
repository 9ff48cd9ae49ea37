import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Channel, ChannelModel } from 'amqplib';
import type { Server } from '@nestmq/broker';
import { channelOf, clientOf, refusalOf, returnedOf } from './client.js';
import { startServer } from './server.js';

let server: Server;
let client: ChannelModel;
let channel: Channel;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

beforeEach(async () => {
  client = await clientOf(server.port);
  channel = await channelOf(client);
  for (const queue of ['q', 'r']) await channel.assertQueue(queue);
  await channel.assertExchange('x', 'direct');
});
afterEach(async () => {
  await client.close().catch(() => {});
  const cleaner = await clientOf(server.port);
  const cleaning = await channelOf(cleaner);
  for (const queue of ['q', 'r']) await cleaning.deleteQueue(queue);
  for (const exchange of ['x', 'y', 'h', 'inner']) await cleaning.deleteExchange(exchange);
  await cleaner.close();
});

async function counts(): Promise<number[]> {
  const states = await Promise.all(['q', 'r'].map((queue) => channel.checkQueue(queue)));
  return states.map(({ messageCount }) => messageCount);
}

const DEFAULT = 'ACCESS_REFUSED - operation not permitted on the default exchange';
const MISSING = "NOT_FOUND - no exchange 'no' in vhost '/'";
type Operation = (on: Channel) => Promise<unknown> | void;

/** As measured on RabbitMQ 3.10.8. */
const REFUSED: readonly (readonly [what: string, operation: Operation, text: string])[] = [
  ['a binding of a source that is missing', (on) => on.bindExchange('x', 'no', ''), MISSING],
  ['a binding of a destination that is missing', (on) => on.bindExchange('no', 'x', ''), MISSING],
  ['a binding of the default exchange', (on) => on.bindExchange('x', '', ''), DEFAULT],
  ['a binding to the default exchange', (on) => on.bindExchange('', 'x', ''), DEFAULT],
  ['unbinding from the default exchange', (on) => on.unbindExchange('', 'x', ''), DEFAULT],
  [
    'deleting the source of a binding, if it is unused',
    async (on) => {
      await on.bindExchange('amq.fanout', 'x', '');
      await on.deleteExchange('x', { ifUnused: true });
    },
    "PRECONDITION_FAILED - exchange 'x' in vhost '/' in use",
  ],
  [
    'an exchange that is not as internal',
    (on) => on.assertExchange('x', 'direct', { internal: true }),
    "PRECONDITION_FAILED - inequivalent arg 'internal' for exchange 'x' in vhost '/': received 'true' but current is 'false'",
  ],
  [
    'another alternate exchange',
    (on) => on.assertExchange('x', 'direct', { alternateExchange: 'z' }),
    "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received the value 'z' of type 'longstr' but current is none",
  ],
  [
    'an alternate exchange that is a number',
    (on) => on.assertExchange('y', 'direct', { arguments: { 'alternate-exchange': 5 } }),
    "PRECONDITION_FAILED - invalid type 'byte' for arg 'alternate-exchange' in exchange 'y' in vhost '/'",
  ],
  [
    'publishing to an internal exchange',
    async (on) => {
      await on.assertExchange('inner', 'direct', { internal: true });
      on.publish('inner', 'k', Buffer.alloc(0));
    },
    "ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/'",
  ],
  [
    'an unknown x-match',
    (on) => on.bindQueue('q', 'amq.headers', '', { 'x-match': 'foo' }),
    'PRECONDITION_FAILED - Invalid x-match field value <<"foo">>; expected all, any, all-with-x, or any-with-x',
  ],
  [
    'an x-match of another type',
    (on) => on.bindExchange('x', 'amq.match', '', { 'x-match': 5 }),
    'PRECONDITION_FAILED - Invalid x-match field type byte (value 5); expected longstr',
  ],
  [
    'a weight that is no number',
    async (on) => {
      await on.assertExchange('h', 'x-consistent-hash');
      await on.bindQueue('q', 'h', 'heavy');
    },
    'PRECONDITION_FAILED - The binding key must be an integer: <<"heavy">>',
  ],
  [
    'copies that are no array',
    (on) => void on.sendToQueue('q', Buffer.alloc(0), { headers: { CC: 'r' } }),
    'PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}',
  ],
];

describe('refused as RabbitMQ does:', () => {
  it.each(REFUSED)('%s', async (_, operation, text) => {
    expect(await refusalOf(client, operation)).toBe(`channel ${text}`);
  });
});

describe('exchanges over AMQP', () => {
  it('are bound and unbound, with arguments, to exchanges and queues', async () => {
    await channel.assertExchange('h', 'headers');
    await channel.bindQueue('q', 'h', '', { 'x-match': 'any', a: 1, b: 'two' });
    await channel.bindQueue('r', 'h', '', { a: 1, b: 'two' });
    await channel.bindExchange('h', 'x', 'k');
    channel.publish('x', 'k', Buffer.alloc(0), { headers: { a: 1, b: 'two' } });
    channel.publish('x', 'k', Buffer.alloc(0), { headers: { b: 'two' } });
    expect(await counts()).toEqual([2, 1]);
    await channel.unbindQueue('r', 'h', '', { a: 1 });
    await channel.unbindQueue('q', 'h', '', { b: 'two', a: 1, 'x-match': 'any' });
    channel.publish('x', 'k', Buffer.alloc(0), { headers: { a: 1, b: 'two' } });
    expect(await counts()).toEqual([2, 2]);
    await channel.unbindExchange('h', 'x', 'k');
    await channel.unbindExchange('no', 'no', 'k');
    expect(await returnedOf(channel, 'x', 'k', { headers: { a: 1, b: 'two' } })).toBeDefined();
  });

  it('hand what goes nowhere to their alternate exchange, and that is routed', async () => {
    await channel.assertExchange('inner', 'fanout', { internal: true });
    await channel.assertExchange('y', 'direct', { alternateExchange: 'inner' });
    const returned = await returnedOf(channel, 'y', 'k');
    expect(returned?.fields).toMatchObject({ replyText: 'NO_ROUTE', exchange: 'y', routingKey: 'k' });
    await channel.bindQueue('q', 'inner', '');
    expect(await returnedOf(channel, 'y', 'k')).toBeUndefined();
    expect(await counts()).toEqual([1, 0]);
  });

  it('of the predeclared names are there, with their types', async () => {
    const predeclared = [
      ['amq.direct', 'direct'],
      ['amq.fanout', 'fanout'],
      ['amq.topic', 'topic'],
      ['amq.headers', 'headers'],
      ['amq.match', 'headers'],
    ] as const;
    for (const [name, type] of predeclared)
      expect(await channel.assertExchange(name, type)).toEqual({ exchange: name });
  });

  it('of each further type take messages', async () => {
    const types = {
      'x-consistent-hash': {},
      'x-random': {},
      'x-message-deduplication': { 'x-cache-size': 10 },
    };
    for (const [type, args] of Object.entries(types)) {
      await channel.assertExchange('y', type, { arguments: args });
      await channel.bindQueue('q', 'y', '1');
      const options = { headers: { 'x-deduplication-header': 'one' } };
      expect(await returnedOf(channel, 'y', 'k', options)).toBeUndefined();
      const again = await returnedOf(channel, 'y', 'k', options);
      expect(again !== undefined).toBe(type === 'x-message-deduplication');
      await channel.deleteExchange('y');
    }
  });

  it('send copies by CC and BCC, and nobody sees BCC', async () => {
    const headers = { a: 1, BCC: ['r', 'q'], CC: ['none'], z: 2 };
    expect(await returnedOf(channel, '', 'none', { headers })).toBeUndefined();
    for (const queue of ['q', 'r']) {
      const message = await channel.get(queue, { noAck: true });
      expect(message && message.properties.headers).toEqual({ a: 1, CC: ['none'], z: 2 });
      expect(message && message.fields.routingKey).toBe('none');
    }
    const returned = await returnedOf(channel, '', 'none', { headers: { CC: ['nobody'], BCC: ['nothing'] } });
    expect(returned?.properties.headers).toEqual({ CC: ['nobody'] });
  });
});
