import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { LIMITS, ManualClock, type Server } from '@nestmq/broker';
import { serveNestmq } from '../benchmarks/amqp-servers.js';
import { RawConnection } from '../benchmarks/raw-amqp.js';
import {
  BODY,
  frame,
  GREETING,
  header,
  longString,
  method,
  publish,
  ScriptedClient,
  short,
  shortString,
  startServer,
} from './server.js';

describe('a consumer without a prefetch that acks nothing', () => {
  let server: Server;
  let connection: ChannelModel;
  let channel: Channel;
  beforeEach(async () => {
    server = await startServer();
    connection = await connect(`amqp://127.0.0.1:${server.port}`);
    channel = await connection.createChannel();
    await channel.assertQueue('q');
  });
  afterEach(async () => {
    await connection.close();
    await server.close();
  });

  /** One buffer for all: what they take in this process is not what is measured. */
  const body = Buffer.alloc(16 * 1024 * 1024);
  const COUNT = LIMITS.unsettledBytesMax / body.length + 4;
  const publishAll = (): void => {
    const engine = server.broker.connect();
    for (let i = 0; i < COUNT; i++) engine.publish({ exchange: '', routingKey: 'q', properties: {}, body });
  };

  it('is handed a bounded number of bytes, and more when it has acked', async () => {
    publishAll();
    const tags: number[] = [];
    let onDelivery = (): void => {};
    const handed = (count: number): Promise<void> =>
      new Promise((resolve) => {
        onDelivery = () => void (tags.length === count && resolve());
        onDelivery();
      });
    const take = (message: { fields: { deliveryTag: number } } | null): void => {
      tags.push(message?.fields.deliveryTag ?? 0);
      onDelivery();
    };
    await channel.consume('q', take);
    await handed(COUNT - 4);
    expect((await channel.checkQueue('q')).messageCount).toBe(4);
    const other = await connection.createChannel();
    expect(await other.get('q')).toMatchObject({ fields: { messageCount: 3 } });
    await other.close();
    channel.ack({ fields: { deliveryTag: 1 } } as never);
    await handed(COUNT - 3);
    channel.ack({ fields: { deliveryTag: COUNT - 3 } } as never, true);
    await handed(COUNT);
    expect(tags).toEqual(Array.from({ length: COUNT }, (_, i) => i + 1));
  });
});

describe('a client that sends long headers and no bodies', () => {
  const longest = Buffer.concat([
    short(1 << 13),
    longString(Buffer.concat([shortString('h'), Buffer.from('S'), longString(Buffer.alloc(120_000, 'h'))])),
  ]);
  let server: Server;
  let client: ScriptedClient;
  beforeEach(async () => {
    server = await startServer();
    client = await ScriptedClient.open(server.port);
  });
  afterEach(async () => {
    client.socket.destroy();
    await server.close();
  });

  it('in a transaction is stopped as by bodies', async () => {
    client.send(method(1, 90, 10));
    await client.next();
    const count = Math.ceil(LIMITS.transactionBytesMax / longest.length);
    for (let i = 0; i < count; i++) client.send(publish(1, 'q', 'amq.fanout'), header(1, 0, longest));
    const text = `transaction of more than ${LIMITS.transactionBytesMax} bytes`;
    expect(await client.closing()).toBe(`channel 406 PRECONDITION_FAILED - ${text}`);
  });

  it('but announces them on many channels is stopped as by bodies', async () => {
    const count = Math.ceil(LIMITS.unfinishedBytesMax / longest.length);
    for (let i = 2; i < count + 2; i++)
      client.send(method(i, 20, 10, shortString('')), publish(i, 'q'), header(i, 1, longest));
    const text = `contents under way on all channels have more than ${LIMITS.unfinishedBytesMax} bytes`;
    expect(await client.closing()).toBe(`connection 506 RESOURCE_ERROR - ${text}`);
  });

  it('is served as long as each is complete', async () => {
    client.send(method(1, 85, 10, Buffer.from([0])));
    await client.next();
    const count = Math.ceil(LIMITS.unfinishedBytesMax / longest.length) + 1;
    for (let i = 0; i < count; i++)
      client.send(
        publish(1, 'q', 'amq.fanout'),
        header(1, 2, longest),
        frame(BODY, 1, Buffer.from('b')),
        frame(BODY, 1, Buffer.from('b')),
      );
    for (let confirmed = 0; confirmed < count;) {
      const payload = (await client.next())?.payload;
      expect(payload?.readUInt32BE(0)).toBe(60 * 0x1_0000 + 80);
      confirmed = Number(payload?.readBigUInt64BE(4));
    }
  });
});

it('a client that sends its handshake octet by octet is cut off in time, and others are not', async () => {
  const clock = new ManualClock();
  const server = await startServer({ clock });
  const slow = ScriptedClient.connect(server.port);
  const other = await connect(`amqp://127.0.0.1:${server.port}`);
  for (const octet of GREETING.subarray(0, 7)) {
    slow.send(Buffer.from([octet]));
    clock.advance(LIMITS.handshakeTimeoutMs / 8);
    await other.createChannel();
  }
  clock.advance(LIMITS.handshakeTimeoutMs / 8);
  expect(await slow.next()).toBeUndefined();
  await other.createChannel();
  await other.close();
  await server.close();
});

it('a client that has not logged in, and reads nothing, does not keep a server that is closed', async () => {
  const server = await startServer();
  const silent = ScriptedClient.connect(server.port);
  silent.socket.pause();
  silent.send(GREETING);
  const known = await connect(`amqp://127.0.0.1:${server.port}`);
  await known.close();
  const started = performance.now();
  await server.close();
  expect(performance.now() - started).toBeLessThan(5000);
  silent.socket.destroy();
});

it('a client that does not answer its close keeps a server that is closed for two seconds, and no longer', async () => {
  const clock = new ManualClock();
  const server = await startServer({ clock });
  const silent = await ScriptedClient.open(server.port);
  let isClosed = false;
  const closed = server.close().then(() => (isClosed = true));
  expect(await silent.closing()).toContain('connection 320');
  clock.advance(LIMITS.shutdownTimeoutMs - 1);
  silent.send(frame(8, 0, Buffer.alloc(0)));
  await new Promise(setImmediate);
  expect(isClosed).toBe(false);
  clock.advance(1);
  await closed;
  expect(await silent.next()).toBeUndefined();
});

it('10,000 connections that do nothing are held, and one that does something is served', async () => {
  const limit = spawnSync('sh', ['-c', 'ulimit -Hn']).stdout.toString().trim();
  const count = limit === 'unlimited' ? 10_000 : Math.min(10_000, Number(limit) - 500);
  const server = await serveNestmq(['--memory']);
  const idle: RawConnection[] = [];
  try {
    while (idle.length < count) {
      const some = Array.from({ length: 100 }, () => RawConnection.handshake(server.port));
      idle.push(...(await Promise.all(some)));
    }
    const busy = await RawConnection.open(server.port);
    await busy.declare('q');
    await busy.publish('q', 100, 1000, 100);
    await busy.close();
  } finally {
    for (const connection of idle) connection.destroy();
    await server.stop();
  }
  expect(idle.length).toBeGreaterThanOrEqual(count);
}, 60_000);
