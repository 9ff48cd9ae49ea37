import { header, long, longString, method, short, shortString, startOk, tuneOk } from '../server.js';
import { BIT, CLOSE_OK, NOTHING, openVhost, type WrongFrames } from './frames.js';

const delivery = method(
  1,
  60,
  60,
  shortString('t'),
  long(0),
  long(1),
  BIT,
  shortString(''),
  shortString('q'),
);

function declare(name: string | Buffer, args: Buffer): Buffer {
  return method(1, 50, 10, short(0), shortString(name), BIT, longString(args));
}

function nested(depth: number): Buffer {
  let table: Buffer = NOTHING;
  for (let i = 0; i < depth; i++)
    table = Buffer.concat([shortString('k'), Buffer.from('F'), longString(table)]);
  return table;
}

const NOT_UTF8 = Buffer.from([0xff, 0xfe]);

/** Methods that are none, or come at the wrong time. */
export const METHODS: readonly WrongFrames[] = [
  { what: 'an unknown class', sent: [method(1, 77, 1)], answer: 'connection 503', rabbitMq: 'socket' },
  { what: 'an unknown method', sent: [method(1, 60, 99)], answer: 'connection 503', rabbitMq: 'socket' },
  {
    what: 'an unknown class on channel 0',
    sent: [method(0, 77, 1)],
    answer: 'connection 503',
    rabbitMq: 'socket',
  },
  {
    what: 'a method of the server',
    sent: [method(1, 50, 11, shortString('q'), long(0), long(0))],
    answer: 'connection 503',
  },
  { what: 'a delivery', sent: [delivery], answer: 'connection 503', rabbitMq: undefined },
  {
    what: 'arguments that are cut off',
    sent: [method(1, 50, 10, short(0))],
    answer: 'connection 501 FRAME_ERROR - cannot decode <<0,0>>',
  },
  {
    what: 'bytes after the arguments',
    sent: [method(1, 60, 10, Buffer.alloc(9))],
    answer: 'connection 501 FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,0,0>>',
  },
  {
    what: 'a table that is cut off',
    sent: [declare('q', Buffer.from('\u0001kS\0\0\0\u0009ab'))],
    answer: 'connection 501',
    rabbitMq: 'socket',
  },
  {
    what: 'a field of no known type',
    sent: [declare('q', Buffer.from('\u0001kZ\0'))],
    answer: 'connection 501',
    rabbitMq: 'socket',
  },
  {
    what: 'a table that is longer than its frame',
    sent: [method(1, 50, 10, short(0), shortString('q'), BIT, long(99))],
    answer: 'connection 501 FRAME_ERROR - cannot decode <<0,0,1,113,0,0,0,0,99>>',
  },
  {
    what: 'tables within tables without an end',
    sent: [declare('q', nested(40))],
    answer: 'connection 501',
    rabbitMq: undefined,
  },
  {
    what: 'a name that is not UTF-8',
    sent: [declare(NOT_UTF8, NOTHING)],
    answer: 'connection 501 FRAME_ERROR - Malformed UTF-8 in shortstr',
  },
  {
    what: 'a routing key that is not UTF-8',
    sent: [method(1, 60, 40, short(0), shortString(''), shortString(NOT_UTF8), BIT), header(1, 0)],
    answer: 'connection 501 FRAME_ERROR - Malformed UTF-8 in shortstr',
    rabbitMq: undefined,
  },
  {
    what: 'a method on a channel that is not open',
    sent: [method(5, 60, 10, Buffer.alloc(7))],
    answer: "connection 504 CHANNEL_ERROR - expected 'channel.open'",
  },
  {
    what: 'a second channel.open',
    sent: [method(1, 20, 10, shortString(''))],
    answer: "connection 504 CHANNEL_ERROR - second 'channel.open' seen",
  },
  {
    what: 'a connection method on a channel',
    sent: [method(1, 10, 40, Buffer.alloc(3))],
    answer: 'connection 503',
  },
  {
    what: 'connection.close on a channel',
    sent: [method(1, 10, 50, short(200), shortString(''), Buffer.alloc(4))],
    answer: 'connection 503',
  },
  {
    what: 'a channel method on channel 0',
    sent: [method(0, 60, 10, Buffer.alloc(7))],
    answer: 'connection 504',
  },
  { what: 'channel.open on channel 0', sent: [method(0, 20, 10, shortString(''))], answer: 'connection 504' },
  { what: 'connection.open again', sent: [openVhost('/')], answer: 'connection 504' },
  { what: 'connection.tune-ok again', sent: [tuneOk()], answer: 'connection 504' },
  {
    what: 'connection.start-ok again',
    sent: [startOk('PLAIN', Buffer.from('\0guest\0guest'))],
    answer: 'connection 504',
  },
  { what: 'channel.close-ok, unasked', sent: [CLOSE_OK], answer: 'connection 503', cause: '20.41' },
  {
    what: 'channel.close-ok on a channel that is not open',
    sent: [method(7, 20, 41)],
    answer: "connection 504 CHANNEL_ERROR - expected 'channel.open'",
    cause: '20.41',
  },
  { what: 'channel.flow-ok, unasked', sent: [method(1, 20, 21, Buffer.from([1]))], answer: 'connection 503' },
];
