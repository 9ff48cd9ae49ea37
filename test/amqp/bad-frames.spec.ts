import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { ManualClock, type Server } from '@nestmq/broker';
import {
  frame,
  GREETING,
  header,
  longString,
  method,
  publish,
  ScriptedClient,
  short,
  shortString,
  startOk,
  startServer,
  tuneOk,
} from './server.js';
import { FAILING, ON_CHANNEL, ON_CLOSING_CHANNEL } from './wrong-frames.js';
import { openVhost, qos } from './wrong-frames/frames.js';
import { guest, IN_HANDSHAKE } from './wrong-handshakes.js';

let server: Server;
const clock = new ManualClock();

beforeAll(async () => {
  server = await startServer({ clock });
});
afterAll(async () => {
  const closed = server.close();
  clock.advance(60_000);
  await closed;
});

describe('on an open channel', () => {
  it.each(ON_CHANNEL)('$what closes', async ({ sent, answer, cause }) => {
    const client = await ScriptedClient.open(server.port);
    client.send(...sent);
    expect(await client.closing()).toContain(answer);
    expect(client.cause).toBe(cause ?? client.cause);
    client.socket.destroy();
  });
});

describe('on a channel that the server is closing', () => {
  it.each(ON_CLOSING_CHANNEL)('$what closes', async ({ sent, answer, cause }) => {
    const client = await ScriptedClient.open(server.port);
    client.send(FAILING);
    expect(await client.closing()).toContain('channel 404');
    client.send(...sent);
    expect(await client.closing()).toContain(answer);
    expect(client.cause).toBe(cause ?? client.cause);
    client.socket.destroy();
  });
});

describe('a handshake', () => {
  it('with another protocol is answered with the right one, and the end', async () => {
    for (const greeting of ['GET / HTTP/1.1\r\n\r\n', 'AMQP\0\u0001\0\0', 'X']) {
      const client = ScriptedClient.connect(server.port);
      client.send(Buffer.from(greeting));
      expect(await client.rest()).toEqual(GREETING);
    }
  });

  it.each(IN_HANDSHAKE)('with $what is refused', async ({ sent, answer }) => {
    const client = ScriptedClient.connect(server.port);
    client.send(GREETING, ...sent);
    expect(await client.closing()).toContain(answer);
    client.socket.destroy();
  });

  it('by AMQPLAIN is accepted', async () => {
    const client = ScriptedClient.connect(server.port);
    const field = (name: string, value: string): Buffer =>
      Buffer.concat([shortString(name), Buffer.from('S'), longString(Buffer.from(value))]);
    client.send(
      GREETING,
      startOk('AMQPLAIN', Buffer.concat([field('LOGIN', 'guest'), field('PASSWORD', 'guest')])),
    );
    await client.next();
    expect((await client.next())?.payload.readUInt32BE(0)).toBe(10 * 0x1_0000 + 30);
    client.socket.destroy();
  });

  it('that is not finished in time is cut off', async () => {
    const client = ScriptedClient.connect(server.port);
    client.send(GREETING);
    await client.next();
    clock.advance(10_000);
    expect(await client.next()).toBeUndefined();
  });

  it('agrees on heartbeats: silence for two of them closes, a sign of life does not', async () => {
    const client = ScriptedClient.connect(server.port);
    client.send(GREETING, startOk('PLAIN', guest), tuneOk(10, 4096, 10), openVhost('/'));
    for (let i = 0; i < 3; i++) await client.next();
    for (let i = 0; i < 4; i++) {
      clock.advance(10_000);
      client.send(
        frame(8, 0, Buffer.alloc(0)),
        method(1, 20, 10, shortString('')),
        method(1, 20, 40, short(200), Buffer.alloc(5)),
      );
      let next = await client.next();
      while (next?.channel === 0) next = await client.next();
      await client.next();
    }
    clock.advance(30_000);
    let next = await client.next();
    while (next?.type === 8) next = await client.next();
    expect(next).toBeUndefined();
  });
});

it('after an error of a channel its frames are ignored until the client has answered, and others go on', async () => {
  const client = await ScriptedClient.open(server.port);
  client.send(publish(1, 'q', 'nowhere'), header(1, 0));
  expect(await client.closing()).toBe("channel 404 NOT_FOUND - no exchange 'nowhere' in vhost '/'");
  client.send(qos, publish(1, 'q'), header(1, 0), method(2, 20, 10, shortString('')));
  expect((await client.next())?.channel).toBe(2);
  client.send(method(1, 20, 41), method(1, 20, 10, shortString('')));
  expect((await client.next())?.payload.readUInt32BE(0)).toBe(20 * 0x1_0000 + 11);
  client.socket.destroy();
});

it('after all that, others are undisturbed', async () => {
  const connection = await connect(`amqp://127.0.0.1:${server.port}`);
  const channel = await connection.createChannel();
  expect((await channel.assertQueue('fine')).queue).toBe('fine');
  await connection.close();
});
