import { BODY, frame, header, HEADER, method, publish, short } from '../server.js';
import { CLOSE, NOTHING, qos, type WrongFrames } from './frames.js';

/** Sizes beyond what a number holds exactly. */
function headerOfSize(size: bigint, weight = 0, classId = 60): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(size);
  return frame(HEADER, 1, Buffer.concat([short(classId), short(weight), bytes, short(0)]));
}

/** Content that does not follow its method, or its header. */
export const CONTENT: readonly WrongFrames[] = [
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
