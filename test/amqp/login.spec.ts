import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { hashPassword, ManualClock, type Server } from '@nestmq/broker';
import { type ChannelModel, connect } from 'amqplib';
import {
  addUser,
  closeIn,
  GREETING,
  longString,
  method,
  ScriptedClient,
  shortString,
  startOk,
  startServer,
  tuneOk,
} from './server.js';

const ALL = { configure: '.*', write: '.*', read: '.*' };
const REFUSED = (mechanism: string): string =>
  `connection 403 ACCESS_REFUSED - Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`;

let server: Server;
beforeEach(async () => {
  server = await startServer();
});
afterEach(() => server.close());

/** What a client is answered that says who it is, and opens a vhost: `ok`, or how it is closed. */
async function login(mechanism: string, response: Buffer, vhost = '/', capabilities = TOLD): Promise<string> {
  const client = ScriptedClient.connect(server.port);
  client.send(GREETING);
  await client.next();
  client.send(startOk(mechanism, response, capabilities));
  const tune = await client.next();
  let outcome = tune && closeIn(tune);
  if (tune !== undefined && outcome === undefined) {
    client.send(tuneOk(), method(0, 10, 40, shortString(vhost), shortString(''), Buffer.from([0])));
    const opened = await client.next();
    outcome = opened && (closeIn(opened) ?? 'ok');
  }
  client.socket.destroy();
  return outcome ?? 'socket';
}
const TOLD = ['authentication_failure_close'];

const plain = (user: string, password = user): Buffer => Buffer.from(`\0${user}\0${password}`);

function amqPlain(user: string, password: string): Buffer {
  const field = (name: string, value: string): Buffer =>
    Buffer.concat([shortString(name), Buffer.from('S'), longString(Buffer.from(value))]);
  return Buffer.concat([field('LOGIN', user), field('PASSWORD', password)]);
}

async function connectAs(
  user: string,
  vhost: string,
): Promise<{ connection: ChannelModel; closed: Promise<string> }> {
  const connection = await connect(
    `amqp://${user}:${user}@127.0.0.1:${server.port}/${encodeURIComponent(vhost)}`,
  );
  const closed = new Promise<string>((resolve) => {
    connection.on('error', (error: Error) => resolve(error.message));
    connection.on('close', (error?: Error) => resolve(error?.message ?? ''));
  });
  return { connection, closed };
}

describe('logging in', () => {
  it('is possible as guest until a user is defined, with PLAIN and AMQPLAIN', async () => {
    expect(await login('PLAIN', plain('guest'))).toBe('ok');
    expect(await login('AMQPLAIN', amqPlain('guest', 'guest'))).toBe('ok');
    addUser(server, 'u');
    server.broker.registry.setPermission('u', '/', ALL);
    expect(await login('PLAIN', plain('guest'))).toBe(REFUSED('PLAIN'));
    expect(await login('PLAIN', plain('u'))).toBe('ok');
    expect(await login('AMQPLAIN', amqPlain('u', 'u'))).toBe('ok');
  });

  it('is refused with a wrong password and as nobody, in the same words', async () => {
    server.broker.registry.setUser('u', { tags: [], ...(await hashPassword('secret')) });
    expect(await login('PLAIN', plain('u', 'wrong'))).toBe(REFUSED('PLAIN'));
    expect(await login('AMQPLAIN', amqPlain('nobody', 'secret'))).toBe(REFUSED('AMQPLAIN'));
    expect(await login('PLAIN', plain('u', 'wrong'), '/', [])).toBe('socket');
  });

  it('never blocks the others: they are served while a password is hashed', async () => {
    server.broker.registry.setUser('slow', { tags: [], ...(await hashPassword('secret')) });
    addUser(server, 'u');
    server.broker.registry.setPermission('u', '/', ALL);
    const { connection } = await connectAs('u', '/');
    const channel = await connection.createChannel();
    const refused = login('PLAIN', plain('slow', 'wrong'));
    const passed = async (): Promise<string> => {
      await channel.checkExchange('amq.topic');
      return 'passed';
    };
    let served = 0;
    while ((await Promise.race([refused, passed()])) === 'passed') served++;
    expect(served).toBeGreaterThan(10);
    await connection.close();
  });

  it('with EXTERNAL is not offered, and refused, without a certificate', async () => {
    expect(await login('EXTERNAL', Buffer.alloc(0))).toBe(
      "connection 503 COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'",
    );
  });
});

describe('a vhost', () => {
  it('that is not there, or that the user has no permissions in, is refused as by RabbitMQ', async () => {
    addUser(server, 'u');
    server.broker.registry.setVhost('v2', { description: '', tags: [] });
    expect(await login('PLAIN', plain('u'), 'nope')).toBe(
      'connection 530 NOT_ALLOWED - vhost nope not found',
    );
    expect(await login('PLAIN', plain('u'), 'v2')).toBe(
      "connection 530 NOT_ALLOWED - access to vhost 'v2' refused for user 'u'",
    );
  });

  it('has exchanges, queues and messages of its own', async () => {
    server.broker.registry.setVhost('v2', { description: '', tags: [] });
    const bodies: string[] = [];
    for (const vhost of ['/', 'v2']) {
      const { connection } = await connectAs('guest', vhost);
      const channel = await connection.createConfirmChannel();
      await channel.assertQueue('q');
      channel.sendToQueue('q', Buffer.from(vhost));
      await channel.waitForConfirms();
      expect((await channel.checkQueue('q')).messageCount).toBe(1);
      const message = await channel.get('q', { noAck: true });
      bodies.push(message === false ? '' : message.content.toString());
      await connection.close();
    }
    expect(bodies).toEqual(['/', 'v2']);
  });

  it('that is deleted takes its connections with it, and a user too', async () => {
    addUser(server, 'u');
    const { registry } = server.broker;
    registry.setVhost('v2', { description: '', tags: [] });
    registry.setPermission('u', 'v2', ALL);
    registry.setPermission('u', '/', ALL);
    const inVhost = await connectAs('u', 'v2');
    await (await inVhost.connection.createChannel()).assertQueue('q');
    const elsewhere = await connectAs('u', '/');
    registry.deleteVhost('v2');
    expect(await inVhost.closed).toContain("CONNECTION_FORCED - vhost 'v2' is deleted");
    await elsewhere.connection.createChannel();
    registry.deleteUser('u');
    expect(await elsewhere.closed).toContain("CONNECTION_FORCED - user 'u' is deleted");
  });
});

describe('users, vhosts and what is in them', () => {
  it('are there after a restart, and a queue gets no messages of another vhost', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'nestmq-vhosts-'));
    const publish = async (vhost: string): Promise<void> => {
      const { connection } = await connectAs('u', vhost);
      const channel = await connection.createConfirmChannel();
      await channel.assertQueue('q');
      channel.sendToQueue('q', Buffer.from(vhost), { persistent: true });
      await channel.waitForConfirms();
      await connection.close();
    };
    await server.close();
    server = await startServer({ directory });
    addUser(server, 'u', ['administrator']);
    const { registry } = server.broker;
    for (const vhost of ['a', 'b', 'c']) {
      registry.setVhost(vhost, { description: `vhost ${vhost}`, tags: [] });
      registry.setPermission('u', vhost, ALL);
      await publish(vhost);
    }
    registry.deleteVhost('b');
    await server.close();
    server = await startServer({ directory });
    expect([...server.broker.registry.vhosts.keys()]).toEqual(['/', 'a', 'c']);
    for (const vhost of ['a', 'c']) {
      const { connection } = await connectAs('u', vhost);
      const channel = await connection.createChannel();
      expect((await channel.assertQueue('q')).messageCount).toBe(1);
      const message = await channel.get('q');
      expect(message !== false && message.content.toString()).toBe(vhost);
      await connection.close();
    }
    rmSync(directory, { recursive: true, force: true });
  });
});

describe('memory over the high watermark', () => {
  it('blocks publishers, who are told, and lets consumers go on', async () => {
    await server.close();
    const clock = new ManualClock();
    let used = 0;
    const memoryGauge = { usedBytes: () => used, limitBytes: () => 1000, release: () => {} };
    server = await startServer({ clock, memoryGauge, memoryHighWatermark: 0.4 });
    const connection = await connect(`amqp://127.0.0.1:${server.port}`);
    const told: string[] = [];
    const blocked = new Promise<void>((resolve) => {
      connection.once('blocked', (reason: string) => {
        told.push(reason);
        resolve();
      });
    });
    const unblocked = new Promise<void>((resolve) => connection.once('unblocked', resolve));
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('q');
    const second = await connect(`amqp://127.0.0.1:${server.port}`);
    const other = await second.createChannel();
    used = 401;
    clock.advance(2500);
    let confirmed = false;
    const confirm = new Promise<void>((resolve) => {
      channel.sendToQueue('q', Buffer.from('x'), {}, () => {
        confirmed = true;
        resolve();
      });
    });
    await blocked;
    expect(told[0]).toContain('The process uses 401 bytes of memory');
    expect(await other.checkQueue('q')).toMatchObject({ messageCount: 0 });
    expect(confirmed).toBe(false);
    used = 400;
    clock.advance(2500);
    await Promise.all([unblocked, confirm]);
    expect(await other.checkQueue('q')).toMatchObject({ messageCount: 1 });
    await second.close();
    await connection.close();
  });
});
