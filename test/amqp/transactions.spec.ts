import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import type { Server } from '@nestmq/broker';
import {
  header,
  longString,
  METHOD,
  method,
  publish,
  type RawFrame,
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

  describe('routes what it publishes when that is published, as RabbitMQ:', () => {
    const QOS = method(1, 60, 10, Buffer.alloc(7));
    const toExchange = [publish(1, 'k', 'x', 1), header(1, 0)];
    /** Publishes, lets something happen, and commits; returns what came before the commit was answered. */
    const committed = async (sent: Buffer[], between: () => Promise<unknown>): Promise<string[]> => {
      await answer(SELECT);
      expect(await answer(...sent, QOS)).toBe('60.11');
      await between();
      client.send(COMMIT);
      const came: string[] = [];
      for (;;) {
        const { type, payload } = (await client.next()) as RawFrame;
        const id = `${payload.readUInt16BE(0)}.${payload.readUInt16BE(2)}`;
        if (id === '90.21') return came;
        if (type === METHOD) came.push(id === '60.50' ? 'return' : id);
      }
    };
    beforeEach(() => channel.assertExchange('x', 'direct'));

    it('what is unbound then still has it', async () => {
      await channel.bindQueue('q', 'x', 'k');
      expect(await committed(toExchange, () => channel.unbindQueue('q', 'x', 'k'))).toEqual([]);
      expect(await ready()).toBe(1);
    });

    it('what is bound then does not have it', async () => {
      expect(await committed(toExchange, () => channel.bindQueue('q', 'x', 'k'))).toEqual(['return']);
      expect(await ready()).toBe(0);
    });

    it('an exchange that is deleted then has sent it on', async () => {
      await channel.bindQueue('q', 'x', 'k');
      expect(await committed(toExchange, () => channel.deleteExchange('x'))).toEqual([]);
      expect(await ready()).toBe(1);
    });

    it('a queue that is deleted then does not have it', async () => {
      await channel.bindQueue('q', 'x', 'k');
      expect(await committed(toExchange, () => channel.deleteQueue('q'))).toEqual(['return']);
    });

    it('a queue that is deleted and declared again has it', async () => {
      await channel.bindQueue('q', 'x', 'k');
      const again = async (): Promise<void> => {
        await channel.deleteQueue('q');
        await channel.assertQueue('q');
      };
      expect(await committed(toExchange, again)).toEqual([]);
      expect(await ready()).toBe(1);
    });

    it('the default exchange sends it to the queue that has the name at the commit', async () => {
      const sent = [publish(1, 'new', '', 1), header(1, 0)];
      expect(await committed(sent, () => channel.assertQueue('new'))).toEqual([]);
      expect((await channel.checkQueue('new')).messageCount).toBe(1);
    });

    it('a delay ends with its exchange', async () => {
      const args = { 'x-delayed-type': 'direct' };
      await channel.assertExchange('later', 'x-delayed-message', { arguments: args });
      await channel.bindQueue('q', 'later', 'k');
      const delay = Buffer.concat([shortString('x-delay'), Buffer.from('I'), Buffer.from([0, 0, 0, 1])]);
      const delayed = header(1, 0, Buffer.concat([short(0x2000), longString(delay)]));
      const sent = [publish(1, 'k', 'later', 1), delayed];
      expect(await committed(sent, () => channel.deleteExchange('later'))).toEqual(['return']);
    });
  });

  it('counts the queues of a message among what it takes', async () => {
    await channel.assertExchange('many', 'fanout');
    for (let i = 0; i < 1000; i++) {
      await channel.assertQueue(`q${i}`);
      await channel.bindQueue(`q${i}`, 'many', '');
    }
    await answer(SELECT);
    const one = Buffer.concat([publish(1, '', 'many'), header(1, 0)]);
    client.send(Buffer.concat(Array<Buffer>(25_000).fill(one)));
    expect(await client.closing()).toMatch(/^channel 406 PRECONDITION_FAILED - transaction of more than/);
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
