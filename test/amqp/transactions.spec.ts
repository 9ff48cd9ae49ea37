import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { Server } from '@nestmq/broker';
import {
  header,
  longString,
  method,
  publish,
  ScriptedClient,
  short,
  shortString,
  startServer,
} from './server.js';

const SELECT = method(1, 90, 10);
const COMMIT = method(1, 90, 20);
const ROLLBACK = method(1, 90, 30);
const CONFIRM = method(1, 85, 10, Buffer.from([0]));

let server: Server;
let watching: ChannelModel;
let channel: Channel;
let client: ScriptedClient;

beforeEach(async () => {
  server = await startServer();
  watching = await connect(`amqp://127.0.0.1:${server.port}`);
  channel = await watching.createChannel();
  await channel.assertQueue('q');
  client = await ScriptedClient.open(server.port);
});
afterEach(async () => {
  client.socket.destroy();
  await watching.close();
  await server.close();
});

async function answer(...sent: Buffer[]): Promise<string> {
  client.send(...sent);
  const next = await client.next();
  return `${next?.payload.readUInt16BE(0)}.${next?.payload.readUInt16BE(2)}`;
}

const ready = async (): Promise<number> => (await channel.checkQueue('q')).messageCount;

describe('a transaction', () => {
  it('publishes on commit, and not before', async () => {
    expect(await answer(SELECT)).toBe('90.11');
    client.send(publish(1, 'q'), header(1, 0), publish(1, 'q'), header(1, 0));
    expect(await answer(method(1, 60, 10, Buffer.alloc(7)))).toBe('60.11');
    expect(await ready()).toBe(0);
    expect(await answer(COMMIT)).toBe('90.21');
    expect(await ready()).toBe(2);
  });

  it('refuses copies that are no array when they are published, and not with the commit', async () => {
    await answer(SELECT);
    // Headers with the field CC, a string.
    const cc = Buffer.concat([shortString('CC'), Buffer.from('S'), longString(Buffer.from('q'))]);
    client.send(publish(1, 'q'), header(1, 0, Buffer.concat([short(0x2000), longString(cc)])));
    expect(await client.closing()).toBe(
      'channel 406 PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}',
    );
    expect(await ready()).toBe(0);
  });

  it('forgets what was published on rollback, and what was acked is unsettled again', async () => {
    channel.sendToQueue('q', Buffer.from('1'));
    await ready();
    await answer(SELECT);
    await answer(method(1, 60, 70, short(0), shortString('q'), Buffer.from([0])));
    await client.next();
    await client.next();
    const ack = method(1, 60, 80, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1, 0]));
    expect(await answer(ack, publish(1, 'q'), header(1, 0), ROLLBACK)).toBe('90.31');
    expect(await answer(ack, COMMIT)).toBe('90.21');
    client.socket.destroy();
    expect(await ready()).toBe(0);
  });

  it('returns what is mandatory and unroutable before it is committed', async () => {
    await answer(SELECT);
    expect(await answer(publish(1, 'nowhere', '', 1), header(1, 0), COMMIT)).toBe('60.50');
    await client.next();
    expect((await client.next())?.payload.readUInt16BE(2)).toBe(21);
  });

  it.each([
    ['without one', [COMMIT], 'channel is not transactional'],
    ['and confirms', [SELECT, CONFIRM], 'cannot switch from tx to confirm mode'],
    ['after confirms', [CONFIRM, SELECT], 'cannot switch from confirm to tx mode'],
  ])('%s is refused', async (_, sent, text) => {
    client.send(...sent);
    expect(await client.closing()).toBe(`channel 406 PRECONDITION_FAILED - ${text}`);
  });
});
