import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { ManualClock, type Server } from '@nestmq/broker';
import {
  BODY,
  frame,
  GREETING,
  header,
  HEADER,
  long,
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

const qos = method(1, 60, 10, long(0), short(0), Buffer.from([0]));
const declare = (name: string | Buffer, args: Buffer): Buffer =>
  method(1, 50, 10, short(0), shortString(name), Buffer.from([0]), longString(args));
const open = (vhost: string): Buffer =>
  method(0, 10, 40, shortString(vhost), shortString(''), Buffer.from([0]));

/**
 * What is sent on channel 1, and what is answered: RabbitMQ 3.10.8's answer, as measured, where nothing else is said;
 * with a star, what it ends without a word.
 */
const CASES: [what: string, sent: Buffer[], answer: string][] = [
  ['a wrong end octet', [frame(1, 1, Buffer.from([0, 60]), 0)], 'connection 501'],
  ['a frame that is too large', [Buffer.from([1, 0, 1, 0xff, 0xff, 0xff, 0xff])], 'connection 501'],
  ['an unknown frame type', [frame(7, 1, Buffer.from('abc'))], 'connection 501'],
  ['a heartbeat on a channel', [frame(8, 1, Buffer.alloc(0))], 'connection 505'],
  ['an unknown class *', [method(1, 77, 1)], 'connection 503'],
  ['an unknown method *', [method(1, 60, 99)], 'connection 503'],
  ['a method of the server', [method(1, 50, 11, shortString('q'), long(0), long(0))], 'connection 503'],
  // RabbitMQ says nothing to the method alone: it waits for the content.
  [
    'a delivery',
    [
      method(
        1,
        60,
        60,
        shortString('t'),
        long(0),
        long(1),
        Buffer.from([0]),
        shortString(''),
        shortString('q'),
      ),
    ],
    'connection 503',
  ],
  ['arguments that are cut off', [method(1, 50, 10, short(0))], 'connection 501'],
  ['bytes after the arguments', [method(1, 60, 10, Buffer.alloc(9))], 'connection 501'],
  ['a table that is cut off *', [declare('q', Buffer.from('\u0001kS\0\0\0\u0009ab'))], 'connection 501'],
  ['a field of no known type *', [declare('q', Buffer.from('\u0001kZ\0'))], 'connection 501'],
  ['a name that is not UTF-8', [declare(Buffer.from([0xff, 0xfe]), Buffer.alloc(0))], 'connection 501'],
  ['a method frame without a method', [frame(1, 1, Buffer.alloc(0))], 'connection 501'],
  ['a method on a channel that is not open', [method(5, 60, 10, Buffer.alloc(7))], 'connection 504'],
  ['a header on a channel that is not open', [header(5, 0)], 'connection 505'],
  ['a second channel.open', [method(1, 20, 10, shortString(''))], 'connection 504'],
  ['a connection method on a channel', [method(1, 10, 40, Buffer.alloc(3))], 'connection 503'],
  ['a channel method on channel 0', [method(0, 60, 10, Buffer.alloc(7))], 'connection 504'],
  ['a header on channel 0', [header(0, 0)], 'connection 505'],
  ['a header without a method', [header(1, 0)], 'connection 505'],
  ['a body without a method', [frame(BODY, 1, Buffer.from('abc'))], 'connection 505'],
  ['a method in place of a header', [publish(1, 'q'), qos], 'connection 505'],
  ['a body in place of a header', [publish(1, 'q'), frame(BODY, 1, Buffer.from('a'))], 'connection 505'],
  ['a header in place of a body', [publish(1, 'q'), header(1, 5), header(1, 5)], 'connection 505'],
  ['a method in place of a body', [publish(1, 'q'), header(1, 5), qos], 'connection 505'],
  [
    'a body that is too long',
    [publish(1, 'q'), header(1, 2), frame(BODY, 1, Buffer.from('abc'))],
    'connection 505',
  ],
  [
    'a header of another class',
    [publish(1, 'q'), frame(HEADER, 1, Buffer.concat([short(50), Buffer.alloc(12)]))],
    'connection 505',
  ],
  ['a header that is cut off', [publish(1, 'q'), frame(HEADER, 1, short(60))], 'connection 501'],
  // RabbitMQ says 541 INTERNAL_ERROR.
  [
    'properties that are cut off',
    [publish(1, 'q'), header(1, 0, Buffer.from([0x80, 0, 9, 1]))],
    'connection 501',
  ],
  // RabbitMQ says nothing to the header alone; what it says to such a body was not measured.
  ['a body over the limit', [publish(1, 'q'), header(1, 17 * 1024 * 1024)], 'channel 406'],
  ['immediate', [publish(1, 'q', '', 2), header(1, 0)], 'connection 540 NOT_IMPLEMENTED - immediate=true'],
  [
    'a prefetch size',
    [method(1, 60, 10, long(5), short(0), Buffer.from([0]))],
    'connection 540 NOT_IMPLEMENTED - prefetch_size!=0 (5)',
  ],
  [
    'recovering without requeue',
    [method(1, 60, 110, Buffer.from([0]))],
    'connection 540 NOT_IMPLEMENTED - requeue=false',
  ],
  [
    'stopping the flow',
    [method(1, 20, 20, Buffer.from([0]))],
    'connection 540 NOT_IMPLEMENTED - active=false',
  ],
  [
    'no last queue',
    [method(1, 60, 70, short(0), shortString(''), Buffer.from([0]))],
    'channel 404 NOT_FOUND - no previously declared queue',
  ],
];

describe('on an open channel', () => {
  it.each(CASES)('%s closes', async (_, sent, answer) => {
    const client = await ScriptedClient.open(server.port);
    client.send(...sent);
    expect(await client.closing()).toContain(answer);
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

  const guest = Buffer.from('\0guest\0guest');
  const STARTED: [string, Buffer[], string][] = [
    ['an unknown mechanism', [startOk('FOO', guest)], 'connection 503'],
    ['a malformed response', [startOk('PLAIN', Buffer.from('guest'))], 'connection 502'],
    ['a wrong password', [startOk('PLAIN', Buffer.from('\0guest\0x'))], 'socket'],
    [
      'a wrong password, told',
      [startOk('PLAIN', Buffer.from('\0guest\0x'), ['authentication_failure_close'])],
      'connection 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
    ],
    [
      'an unknown vhost',
      [startOk('PLAIN', guest), tuneOk(), open('nope')],
      'connection 530 NOT_ALLOWED - vhost nope not found',
    ],
    [
      'frames too small',
      [startOk('PLAIN', guest), tuneOk(10, 100)],
      'connection 530 NOT_ALLOWED - negotiated frame_max = 100 is lower than the minimum allowed value (4096)',
    ],
    ['frames without a limit', [startOk('PLAIN', guest), tuneOk(10, 0)], 'connection 530'],
    [
      'channels without a limit',
      [startOk('PLAIN', guest), tuneOk(0)],
      'connection 530 NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher',
    ],
    ['methods out of order', [open('/')], 'connection 504'],
    ['a channel before its time', [method(1, 20, 10, shortString(''))], 'connection 505'],
  ];
  it.each(STARTED)('with %s is refused', async (_, sent, answer) => {
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
    client.send(GREETING, startOk('PLAIN', guest), tuneOk(10, 4096, 10), open('/'));
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
