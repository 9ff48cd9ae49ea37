import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileSystem, ManualClock, nodeFileSystem, type Server } from '@nestmq/broker';
import { header, method, publish, ScriptedClient, short, shortString, startServer } from './server.js';

let server: Server;
let connection: ChannelModel;
let channel: ConfirmChannel;

async function start(options: Parameters<typeof startServer>[0]): Promise<void> {
  server = await startServer(options);
  connection = await connect(`amqp://127.0.0.1:${server.port}`);
  channel = await connection.createConfirmChannel();
  await channel.assertQueue('q');
}

afterEach(async () => {
  await connection.close();
  await server.close();
});

describe('a consumer that does not read', () => {
  const BODY_BYTES = 64 * 1024;
  const COUNT = 400;
  beforeEach(() => start({}));

  it('is handed no more than a bounded number of bytes, and others go on', async () => {
    const stuck = await ScriptedClient.open(server.port);
    stuck.send(
      method(1, 60, 20, short(0), shortString('q'), shortString('stuck'), Buffer.from([2, 0, 0, 0, 0])),
    );
    await stuck.next();
    stuck.socket.pause();
    for (let i = 0; i < COUNT; i++) channel.sendToQueue('q', Buffer.alloc(BODY_BYTES));
    await channel.waitForConfirms();
    let left = await channel.checkQueue('q');
    // What was handed over is in the buffers of the two sockets, and in ours; more does not come.
    for (let last = -1; left.messageCount !== last; left = await channel.checkQueue('q')) {
      last = left.messageCount;
      for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
    }
    expect(left.messageCount).toBeGreaterThan(COUNT / 4);

    const seen = new Promise<number>((resolve, reject) => {
      let count = 0;
      const take = (): void => {
        if (++count === left.messageCount) resolve(count);
      };
      channel.consume('q', take, { noAck: true }).catch(reject);
    });
    expect(await seen).toBe(left.messageCount);
    stuck.socket.destroy();
  });

  it('gets the rest when it reads again', async () => {
    const slow = await ScriptedClient.open(server.port);
    slow.send(
      method(1, 60, 20, short(0), shortString('q'), shortString('slow'), Buffer.from([2, 0, 0, 0, 0])),
    );
    await slow.next();
    slow.socket.pause();
    for (let i = 0; i < COUNT; i++) channel.sendToQueue('q', Buffer.alloc(BODY_BYTES));
    await channel.waitForConfirms();
    slow.socket.resume();
    let headers = 0;
    while (headers < COUNT) if ((await slow.next())?.type === 2) headers++;
    expect((await channel.checkQueue('q')).messageCount).toBe(0);
    slow.socket.destroy();
  });
});

describe('while the disk is nearly full', () => {
  const clock = new ManualClock();
  let free: number;
  let directory: string;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'nestmq-amqp-'));
    free = 1000;
    const fileSystem: FileSystem = { ...nodeFileSystem, freeBytes: async () => free };
    await start({ directory, clock, fileSystem, diskFreeBytesMin: 100, settlementDelayMs: 0 });
    // The disk is asked after a quarter of the limit has been written.
    free = 99;
    channel.sendToQueue('q', Buffer.from('before'), { persistent: true });
    await channel.waitForConfirms();
    while (server.broker.blocked === undefined) await new Promise(setImmediate);
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('a publisher is told and waits, consumers go on, and it is told when it may go on', async () => {
    const blocked = new Promise<string>((resolve) => connection.once('blocked', resolve));
    const unblocked = new Promise<void>((resolve) => connection.once('unblocked', resolve));
    const consuming = await connect(`amqp://127.0.0.1:${server.port}`);
    const consumer = await consuming.createChannel();
    channel.sendToQueue('q', Buffer.from('after'), { persistent: true });
    const confirmed = channel.waitForConfirms();
    expect(await blocked).toContain('99 bytes left');
    const bodies: string[] = [];
    const both = new Promise<void>((resolve, reject) => {
      const take = (message: { content: Buffer } | null): void => {
        bodies.push(String(message?.content));
        if (bodies.length === 1) free = 1000;
        if (bodies.length === 1) clock.advance(1000);
        if (bodies.length === 2) resolve();
      };
      consumer.consume('q', take, { noAck: true }).catch(reject);
    });
    await unblocked;
    await confirmed;
    await both;
    expect(bodies).toEqual(['before', 'after']);
    await consuming.close();
  });
});

describe('a client that asks and does not read the answers', () => {
  beforeEach(() => start({}));

  it('is not read from when more than a bounded number of bytes waits for it', async () => {
    await channel.assertQueue('asked.all');
    const body = Buffer.alloc(1024 * 1024);
    channel.sendToQueue('q', body);
    await channel.waitForConfirms();
    const asking = await ScriptedClient.open(server.port);
    asking.socket.pause();
    const get = method(1, 60, 70, short(0), shortString('q'), Buffer.from([0]));
    const recover = method(1, 60, 100, Buffer.from([1]));
    for (let i = 0; i < 200; i++) asking.send(get, recover);
    // The last thing that it asks for is a sign that all before it was read.
    asking.send(publish(1, 'asked.all'), header(1, 0));
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    expect((await channel.checkQueue('asked.all')).messageCount).toBe(0);
    // What was read is thrown away.
    asking.socket.removeAllListeners('data').resume();
    const asked = new Promise((resolve, reject) => {
      channel.consume('asked.all', resolve).catch(reject);
    });
    expect(await asked).toMatchObject({ fields: { routingKey: 'asked.all' } });
    asking.socket.destroy();
  });
});
