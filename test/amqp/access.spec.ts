import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Server } from '@nestmq/broker';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { addUser, longString, method, ScriptedClient, short, shortString, startServer } from './server.js';

let server: Server;
const open: ChannelModel[] = [];

beforeAll(async () => {
  server = await startServer();
  const { registry } = server.broker;
  for (const user of ['u', 't', 'admin', 'nobody']) addUser(server, user);
  registry.setVhost('v2', { description: '', tags: [] });
  registry.setPermission('u', '/', { configure: '^c', write: '^(w|c)', read: '^(r|c)' });
  for (const user of ['t', 'admin'])
    registry.setPermission(user, '/', { configure: '.*', write: '.*', read: '.*' });
  registry.setTopicPermission(['topic-permission', 't', '/', 'cx'], {
    write: String.raw`^{username}\.`,
    read: String.raw`^in\.`,
  });
  const channel = await channelOf('admin');
  for (const queue of ['cq', 'w1', 'r1']) await channel.assertQueue(queue);
  for (const exchange of ['cx', 'rx']) await channel.assertExchange(exchange, 'topic');
});
afterEach(async () => {
  for (const connection of open.splice(0)) await connection.close().catch(() => {});
});
afterAll(() => server.close());

async function connectAs(user: string, vhost = ''): Promise<ChannelModel> {
  const connection = await connect(`amqp://${user}:${user}@127.0.0.1:${server.port}/${vhost}`);
  connection.on('error', () => {});
  open.push(connection);
  return connection;
}

async function channelOf(user: string): Promise<Channel> {
  const channel = await (await connectAs(user)).createChannel();
  channel.on('error', () => {});
  return channel;
}

/** How a user's attempt ends: `ok`, or with what the channel or connection was closed. */
async function outcomeOf(user: string, attempt: (channel: Channel) => unknown): Promise<string> {
  const channel = await channelOf(user);
  const closed = new Promise<string>((resolve) => {
    channel.once('error', (error: Error) => resolve(error.message));
    open.at(-1)?.once('error', (error: Error) => resolve(error.message));
  });
  const done = (async () => {
    await attempt(channel);
    // Whatever it was, it has been handled when this is answered.
    await channel.checkExchange('amq.topic');
    return 'ok';
  })();
  done.catch(() => {});
  const outcome = await Promise.race([closed, done.catch(() => closed)]);
  return outcome.replace(/^.*?"(.*)"$/, '$1');
}

/** A table where the one that it may not write to comes first, and counts. */
function twice(argument: string): Buffer {
  const fields = ['zz', 'cx'].map((text) =>
    Buffer.concat([shortString(argument), Buffer.from('S'), longString(Buffer.from(text))]),
  );
  return longString(Buffer.concat(fields));
}

const refused = (what: string, user = 'u'): string =>
  `ACCESS_REFUSED - access to ${what} in vhost '/' refused for user '${user}'`;
const body = Buffer.from('x');

/** As measured with RabbitMQ 3.10.8. */
const CASES: [string, (channel: Channel) => unknown, string][] = [
  ['declares a queue', (c) => c.assertQueue('x1'), refused("queue 'x1'")],
  ['asks whether a queue is there', (c) => c.checkQueue('w1'), 'ok'],
  ['declares a queue that it may configure', (c) => c.assertQueue('c1'), 'ok'],
  [
    'declares a queue of a reserved name',
    (c) => c.assertQueue('amq.x'),
    "ACCESS_REFUSED - queue name 'amq.x' contains reserved prefix 'amq.*'",
  ],
  [
    'declares a queue with a dead letter exchange that it may not write to',
    (c) => c.assertQueue('c2', { deadLetterExchange: 'zz' }),
    refused("exchange 'zz'"),
  ],
  [
    'declares a queue with the default exchange for dead letters',
    (c) => c.assertQueue('c2', { deadLetterExchange: '' }),
    refused("exchange 'amq.default'"),
  ],
  ['declares an exchange', (c) => c.assertExchange('x1', 'direct'), refused("exchange 'x1'")],
  [
    'declares an exchange of a reserved name',
    (c) => c.assertExchange('amq.x', 'direct'),
    refused("exchange 'amq.x'"),
  ],
  [
    'declares an exchange of an unknown type',
    (c) => c.assertExchange('x1', 'foo'),
    "COMMAND_INVALID - invalid exchange type 'foo'",
  ],
  [
    'declares an exchange with an alternate exchange that it may not write to',
    (c) => c.assertExchange('c3', 'direct', { alternateExchange: 'zz' }),
    refused("exchange 'zz'"),
  ],
  ['deletes an exchange', (c) => c.deleteExchange('x1'), refused("exchange 'x1'")],
  ['deletes a queue', (c) => c.deleteQueue('x1'), refused("queue 'x1'")],
  ['binds a queue that it may not write to', (c) => c.bindQueue('r1', 'rx', 'k'), refused("queue 'r1'")],
  [
    'binds to an exchange that it may not read from',
    (c) => c.bindQueue('w1', 'wx', 'k'),
    refused("exchange 'wx'"),
  ],
  ['binds what it may', (c) => c.bindQueue('w1', 'rx', 'k'), 'ok'],
  ['unbinds a queue that it may not write to', (c) => c.unbindQueue('r1', 'rx', 'k'), refused("queue 'r1'")],
  ['purges a queue that it may not read from', (c) => c.purgeQueue('w1'), refused("queue 'w1'")],
  ['publishes to the default exchange', (c) => c.sendToQueue('cq', body), refused("exchange 'amq.default'")],
  [
    'publishes to an exchange that it may not write to',
    (c) => c.publish('rx', 'k', body),
    refused("exchange 'rx'"),
  ],
  ['publishes to one that is not there', (c) => c.publish('no', 'k', body), refused("exchange 'no'")],
  [
    'publishes to one that is not there and that it may write to',
    (c) => c.publish('wno', 'k', body),
    "NOT_FOUND - no exchange 'wno' in vhost '/'",
  ],
  ['publishes where it may', (c) => c.publish('cx', 'k', body), 'ok'],
  ['gets from a queue that it may not read from', (c) => c.get('w1'), refused("queue 'w1'")],
  ['consumes a queue that it may not read from', (c) => c.consume('w1', () => {}), refused("queue 'w1'")],
  ['consumes what it may', (c) => c.consume('r1', () => {}), 'ok'],
];

const TOPIC_CASES: [string, (channel: Channel) => unknown, string][] = [
  ['publishes with a routing key that it may', (c) => c.publish('cx', 't.a', body), 'ok'],
  [
    'publishes with one that it may not',
    (c) => c.publish('cx', 'u.a', body),
    refused("topic 'u.a' in exchange 'cx'", 't'),
  ],
  ['binds with a key that it may', (c) => c.bindQueue('cq', 'cx', 'in.a'), 'ok'],
  [
    'binds with one that it may not',
    (c) => c.bindQueue('cq', 'cx', 'u.a'),
    refused("topic 'u.a' in exchange 'cx'", 't'),
  ],
  [
    'unbinds with one that it may not',
    (c) => c.unbindQueue('cq', 'cx', 'u.a'),
    refused("topic 'u.a' in exchange 'cx'", 't'),
  ],
  ['publishes to an exchange that nothing is said of', (c) => c.publish('rx', 'u.a', body), 'ok'],
];

describe('a user with permissions for some names', () => {
  it.each(CASES)('is answered as by RabbitMQ when it %s', async (_, attempt, expected) => {
    expect(await outcomeOf('u', attempt)).toBe(expected);
  });

  it('declares a queue that the server names only when it may configure such names', async () => {
    expect(await outcomeOf('u', (c) => c.assertQueue(''))).toMatch(
      /^ACCESS_REFUSED - access to queue 'amq\.gen-[\w-]{22}' in vhost '\/' refused for user 'u'$/,
    );
    expect(await outcomeOf('admin', (c) => c.assertQueue(''))).toBe('ok');
  });

  it('declares a queue that the server names with a dead letter exchange when it may read such names', async () => {
    const { registry } = server.broker;
    addUser(server, 'g');
    registry.setPermission('g', '/', { configure: '^amq\\.gen', write: '.*', read: '^amq\\.gen' });
    expect(await outcomeOf('g', (c) => c.assertQueue('', { deadLetterExchange: 'zz' }))).toBe('ok');
  });

  it.each([
    [
      'dead letter',
      method(1, 50, 10, short(0), shortString('c7'), Buffer.from([0]), twice('x-dead-letter-exchange')),
    ],
    [
      'alternate',
      method(
        1,
        40,
        10,
        short(0),
        shortString('c7'),
        shortString('fanout'),
        Buffer.from([0]),
        twice('alternate-exchange'),
      ),
    ],
  ])('can not name another %s exchange by an argument that comes twice', async (_, declaration) => {
    const client = await ScriptedClient.open(server.port, [], 'u');
    client.send(declaration);
    expect(await client.closing()).toBe(`channel 403 ${refused("exchange 'zz'")}`);
    client.socket.destroy();
  });

  it('is told of changed permissions by what it asks next', async () => {
    const channel = await channelOf('u');
    await channel.assertQueue('c9');
    const { registry } = server.broker;
    const before = registry.permission('u', '/') as { configure: string; write: string; read: string };
    registry.setPermission('u', '/', { ...before, configure: '^d' });
    await channel.assertQueue('d9');
    await expect(channel.assertQueue('c9')).rejects.toThrow(refused("queue 'c9'"));
    registry.setPermission('u', '/', before);
  });
});

describe('a user with topic permissions', () => {
  it.each(['CC', 'BCC'])('can not publish a copy (%s) with a routing key that it may not', async (name) => {
    const copy = (c: Channel): unknown =>
      c.publish('cx', 't.a', body, { headers: { [name]: ['t.b', 'u.b'] } });
    expect(await outcomeOf('t', copy)).toBe(refused("topic 'u.b' in exchange 'cx'", 't'));
  });

  it.each(TOPIC_CASES)('is answered as by RabbitMQ when it %s', async (_, attempt, expected) => {
    expect(await outcomeOf('t', attempt)).toBe(expected);
  });
});

describe('a user', () => {
  it('is told of the vhost that it is in', async () => {
    const { registry } = server.broker;
    registry.setPermission('admin', 'v2', { configure: '.*', write: '.*', read: '.*' });
    const channel = await (await connectAs('admin', 'v2')).createChannel();
    const refusal = new Promise<string>((resolve) =>
      channel.once('error', (error: Error) => resolve(error.message)),
    );
    const wrong = { arguments: { 'x-priority': 'a' } };
    await channel.assertQueue('q');
    await channel.consume('q', () => {}, wrong).catch(() => {});
    expect(await refusal).toContain("invalid arg 'x-priority' for queue 'q' in vhost 'v2'");
  });

  it('may name another in user-id only as an impersonator', async () => {
    const named = (c: Channel): unknown => c.publish('cx', 'k', body, { userId: 'other' });
    expect(await outcomeOf('admin', named)).toBe(
      "PRECONDITION_FAILED - user_id property set to 'other' but authenticated user was 'admin'",
    );
    const { registry } = server.broker;
    const user = registry.users.get('admin');
    if (user === undefined) throw new Error('no admin');
    registry.setUser('admin', { ...user, tags: ['impersonator'] });
    expect(await outcomeOf('admin', named)).toBe('ok');
  });
});
