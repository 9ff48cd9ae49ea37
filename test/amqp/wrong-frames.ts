import {
  BODY,
  frame,
  header,
  HEADER,
  long,
  longString,
  method,
  publish,
  short,
  shortString,
  startOk,
  tuneOk,
} from './server.js';

/** What a client says that is wrong, and how the server closes then: `channel 404 …`, `connection 501 …`, or `socket`. */
export interface WrongFrames {
  readonly what: string;
  readonly sent: readonly Buffer[];
  /** What the answer has to contain. */
  readonly answer: string;
  /** The method that the close names as its cause, here and there: class and method id. @default not looked at */
  readonly cause?: string;
  /** What that of RabbitMQ 3.10.8 contains, where it is another; undefined is no answer at all. */
  readonly rabbitMq?: string | undefined;
}

const NOTHING = Buffer.alloc(0);
const BIT = Buffer.from([0]);

export const qos: Buffer = method(1, 60, 10, long(0), short(0), BIT);

const CLOSE: Buffer = method(1, 20, 40, short(200), shortString(''), long(0));
const CLOSE_OK: Buffer = method(1, 20, 41);
const OPEN: Buffer = method(1, 20, 10, shortString(''));

export function openVhost(vhost: string): Buffer {
  return method(0, 10, 40, shortString(vhost), shortString(''), BIT);
}

function declare(name: string | Buffer, args: Buffer): Buffer {
  return method(1, 50, 10, short(0), shortString(name), BIT, longString(args));
}

function nested(depth: number): Buffer {
  let table: Buffer = NOTHING;
  for (let i = 0; i < depth; i++)
    table = Buffer.concat([shortString('k'), Buffer.from('F'), longString(table)]);
  return table;
}

/** Sizes beyond what a number holds exactly. */
function headerOfSize(size: bigint, weight = 0, classId = 60): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(size);
  return frame(HEADER, 1, Buffer.concat([short(classId), short(weight), bytes, short(0)]));
}

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
const NOT_UTF8 = Buffer.from([0xff, 0xfe]);

/** Frames that are none. */
const MALFORMED: readonly WrongFrames[] = [
  {
    what: 'a wrong end octet',
    sent: [frame(1, 1, Buffer.from([0, 60]), 0)],
    answer: 'connection 501 FRAME_ERROR - type 1, all octets = <<0,60>>: {invalid_frame_end_marker,0}',
  },
  {
    what: 'a wrong end octet of a body',
    sent: [publish(1, 'q'), header(1, 3), frame(BODY, 1, Buffer.from('abc'), 0x0a)],
    answer: 'connection 501 FRAME_ERROR - type 3, all octets = <<"abc">>: {invalid_frame_end_marker,10}',
  },
  {
    what: 'a frame that is too large',
    sent: [Buffer.from([1, 0, 1, 0xff, 0xff, 0xff, 0xff])],
    answer: 'connection 501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,4294967295,131064}',
  },
  {
    what: 'an unknown frame type',
    sent: [frame(7, 1, Buffer.from('abc'))],
    answer: 'connection 501 FRAME_ERROR - type 7, all octets = <<"abc">>: unknown_frame',
  },
  {
    what: 'an unknown frame type on channel 0',
    sent: [frame(0, 0, NOTHING)],
    answer: 'connection 501 FRAME_ERROR - type 0, all octets = <<>>: unknown_frame',
  },
  {
    what: 'a method frame without a method',
    sent: [frame(1, 1, NOTHING)],
    answer: 'connection 501 FRAME_ERROR - type 1, all octets = <<>>: unknown_frame',
  },
  {
    what: 'half a method id',
    sent: [frame(1, 1, Buffer.from([0, 60, 0]))],
    answer: 'connection 501 FRAME_ERROR - type 1, all octets = <<0,60,0>>: unknown_frame',
  },
  {
    what: 'a heartbeat that says something',
    sent: [frame(8, 0, Buffer.from('abc'))],
    answer: 'connection 501 FRAME_ERROR - type 8, all octets = <<"abc">>: unknown_frame',
    cause: '0.0',
  },
  {
    what: 'a heartbeat on a channel that says something',
    sent: [frame(8, 1, Buffer.alloc(20, 1))],
    answer:
      'connection 501 FRAME_ERROR - type 8, first 16 octets = <<1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1>>: unknown_frame',
  },
  {
    what: 'a header that is cut off',
    sent: [publish(1, 'q'), frame(HEADER, 1, short(60))],
    answer: 'connection 501 FRAME_ERROR - type 2, all octets = <<0,60>>: unknown_frame',
  },
  {
    what: 'properties that are cut off',
    sent: [publish(1, 'q'), header(1, 0, Buffer.from([0x80, 0, 9, 1]))],
    answer: 'connection 501',
    rabbitMq: 'connection 541',
  },
];

/** Methods that are none, or come at the wrong time. */
const METHODS: readonly WrongFrames[] = [
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

/** Content that does not follow its method, or its header. */
const CONTENT: readonly WrongFrames[] = [
  { what: 'a heartbeat on a channel', sent: [frame(8, 1, NOTHING)], answer: 'connection 505' },
  {
    what: 'a heartbeat on a channel that is not open',
    sent: [frame(8, 9, NOTHING)],
    answer: 'connection 505',
  },
  { what: 'a header on channel 0', sent: [header(0, 0)], answer: 'connection 505' },
  { what: 'a body on channel 0', sent: [frame(BODY, 0, Buffer.from('abc'))], answer: 'connection 505' },
  { what: 'a publish on channel 0', sent: [publish(0, 'q'), header(0, 0)], answer: 'connection 504' },
  { what: 'a header on a channel that is not open', sent: [header(5, 0)], answer: 'connection 505' },
  { what: 'a body on a channel that is not open', sent: [frame(BODY, 5, NOTHING)], answer: 'connection 505' },
  {
    what: 'a header without a method',
    sent: [header(1, 0)],
    answer: 'connection 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead',
  },
  {
    what: 'a header after a method that has none',
    sent: [qos, header(1, 0)],
    answer: 'connection 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead',
  },
  {
    what: 'a body without a method',
    sent: [frame(BODY, 1, Buffer.from('abc'))],
    answer: 'connection 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead',
  },
  {
    what: 'a method in place of a header',
    sent: [publish(1, 'q'), qos],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
  },
  {
    what: 'channel.close in place of a header',
    sent: [publish(1, 'q'), CLOSE],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    cause: '60.40',
  },
  {
    what: 'a header with a weight',
    sent: [publish(1, 'q'), headerOfSize(3n, 1)],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
    cause: '60.40',
  },
  {
    what: 'a header of another class with a weight',
    sent: [publish(1, 'q'), headerOfSize(0n, 1, 50)],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
  },
  {
    what: 'a header with a weight, without a method',
    sent: [headerOfSize(3n, 1)],
    answer: 'connection 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    cause: '0.0',
  },
  {
    what: 'a publish in place of a header',
    sent: [publish(1, 'q'), publish(1, 'q')],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
  },
  {
    what: 'a body in place of a header',
    sent: [publish(1, 'q'), frame(BODY, 1, Buffer.from('a'))],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
  },
  {
    what: 'a header in place of a body',
    sent: [publish(1, 'q'), header(1, 5), header(1, 5)],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
  },
  {
    what: 'a method in place of a body',
    sent: [publish(1, 'q'), header(1, 5), qos],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    cause: '60.40',
  },
  {
    what: 'channel.close in place of a body',
    sent: [publish(1, 'q'), header(1, 5), CLOSE],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    cause: '60.40',
  },
  {
    what: 'channel.close before the rest of a body',
    sent: [publish(1, 'q'), header(1, 5), frame(BODY, 1, Buffer.from('ab')), CLOSE],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
  },
  {
    what: 'arguments that are cut off in place of a body',
    sent: [publish(1, 'q'), header(1, 5), method(1, 60, 10)],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    cause: '60.40',
  },
  {
    what: 'an unknown method in place of a body',
    sent: [publish(1, 'q'), header(1, 5), method(1, 60, 99)],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    rabbitMq: 'socket',
  },
  {
    what: 'a body that is too long',
    sent: [publish(1, 'q'), header(1, 2), frame(BODY, 1, Buffer.from('abc'))],
    answer: 'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    rabbitMq: undefined,
  },
  {
    what: 'a second body that is too long',
    sent: [
      publish(1, 'q'),
      header(1, 4),
      frame(BODY, 1, Buffer.from('abc')),
      frame(BODY, 1, Buffer.from('de')),
    ],
    answer: 'connection 505',
    rabbitMq: undefined,
  },
  {
    what: 'a body after an empty one',
    sent: [publish(1, 'q'), header(1, 0), frame(BODY, 1, Buffer.from('a'))],
    answer: 'connection 505 UNEXPECTED_FRAME - expected method frame, got non method frame instead',
  },
  {
    what: 'a header of another class',
    sent: [publish(1, 'q'), frame(HEADER, 1, Buffer.concat([short(50), Buffer.alloc(12)]))],
    answer:
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead',
  },
  {
    what: 'a body over the limit',
    sent: [publish(1, 'q'), header(1, 129 * 1024 * 1024)],
    answer: 'channel 406',
    rabbitMq: undefined,
  },
  {
    what: 'a body of more bytes than there are',
    sent: [publish(1, 'q'), headerOfSize(2n ** 64n - 1n)],
    answer: 'channel 406',
    rabbitMq: undefined,
  },
];

/** What is well formed, and refused. */
const REFUSED: readonly WrongFrames[] = [
  {
    what: 'immediate',
    sent: [publish(1, 'q', '', 2), header(1, 0)],
    answer: 'connection 540 NOT_IMPLEMENTED - immediate=true',
  },
  {
    what: 'a prefetch size',
    sent: [method(1, 60, 10, long(5), short(0), BIT)],
    answer: 'connection 540 NOT_IMPLEMENTED - prefetch_size!=0 (5)',
  },
  {
    what: 'recovering without requeue',
    sent: [method(1, 60, 110, BIT)],
    answer: 'connection 540 NOT_IMPLEMENTED - requeue=false',
  },
  {
    what: 'stopping the flow',
    sent: [method(1, 20, 20, BIT)],
    answer: 'connection 540 NOT_IMPLEMENTED - active=false',
  },
  {
    what: 'no last queue',
    sent: [method(1, 60, 70, short(0), shortString(''), BIT)],
    answer: 'channel 404 NOT_FOUND - no previously declared queue',
  },
  {
    what: 'a delivery tag that does not fit a number',
    sent: [method(1, 60, 80, Buffer.alloc(8, 0xff), BIT)],
    answer: 'channel 406 PRECONDITION_FAILED - unknown delivery tag 18446744073709551615',
  },
];

/** Sent on channel 1, which is open. */
export const ON_CHANNEL: readonly WrongFrames[] = [...MALFORMED, ...METHODS, ...CONTENT, ...REFUSED];

/** What fails on a channel: the server closes it. */
export const FAILING: Buffer = method(
  1,
  50,
  10,
  short(0),
  shortString('no such queue'),
  Buffer.from([1]),
  long(0),
);

/** Sent after {@link FAILING}, on a channel whose close is not answered yet. */
export const ON_CLOSING_CHANNEL: readonly WrongFrames[] = [
  {
    what: 'channel.open',
    sent: [OPEN],
    answer: "connection 504 CHANNEL_ERROR - second 'channel.open' seen",
    cause: '20.10',
  },
  {
    what: 'channel.open after a close that crossed it, which is answered and is no answer',
    sent: [CLOSE, OPEN],
    answer: "connection 504 CHANNEL_ERROR - second 'channel.open' seen",
  },
  {
    what: 'channel.open twice after the answer',
    sent: [qos, CLOSE_OK, OPEN, OPEN],
    answer: "connection 504 CHANNEL_ERROR - second 'channel.open' seen",
  },
];
