import { header, method, shortString, startOk, tuneOk } from './server.js';
import { openVhost, type WrongFrames } from './wrong-frames/frames.js';

export const guest: Buffer = Buffer.from('\0guest\0guest');

/** Sent after the protocol's header. */
export const IN_HANDSHAKE: readonly WrongFrames[] = [
  {
    what: 'an unknown mechanism',
    sent: [startOk('FOO', guest)],
    answer: 'connection 503',
    rabbitMq: 'socket',
  },
  {
    what: 'a malformed response',
    sent: [startOk('PLAIN', Buffer.from('guest'))],
    answer: 'connection 502',
    rabbitMq: 'socket',
  },
  { what: 'a wrong password', sent: [startOk('PLAIN', Buffer.from('\0guest\0x'))], answer: 'socket' },
  {
    what: 'a wrong password, told',
    sent: [startOk('PLAIN', Buffer.from('\0guest\0x'), ['authentication_failure_close'])],
    answer:
      'connection 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
  },
  {
    what: 'an unknown vhost',
    sent: [startOk('PLAIN', guest), tuneOk(), openVhost('nope')],
    answer: 'connection 530 NOT_ALLOWED - vhost nope not found',
  },
  {
    what: 'frames too small',
    sent: [startOk('PLAIN', guest), tuneOk(10, 100)],
    answer:
      'connection 530 NOT_ALLOWED - negotiated frame_max = 100 is lower than the minimum allowed value (4096)',
    rabbitMq: 'socket',
  },
  {
    what: 'frames without a limit',
    sent: [startOk('PLAIN', guest), tuneOk(10, 0)],
    answer: 'connection 530',
    rabbitMq: 'socket',
  },
  {
    what: 'channels without a limit',
    sent: [startOk('PLAIN', guest), tuneOk(0)],
    answer: 'connection 530 NOT_ALLOWED - negotiated channel_max = 0 (no limit) is higher',
    rabbitMq: 'socket',
  },
  { what: 'methods out of order', sent: [openVhost('/')], answer: 'connection 504', rabbitMq: 'socket' },
  {
    what: 'a channel before its time',
    sent: [method(1, 20, 10, shortString(''))],
    answer: 'connection 505',
    rabbitMq: 'socket',
  },
  {
    what: 'more channels than agreed',
    sent: [
      startOk('PLAIN', guest),
      tuneOk(1),
      openVhost('/'),
      method(1, 20, 10, shortString('')),
      method(2, 20, 10, shortString('')),
    ],
    answer:
      'connection 530 NOT_ALLOWED - number of channels opened (1) has reached the negotiated channel_max (1)',
  },
  {
    what: 'content before its time',
    sent: [header(1, 0)],
    answer: 'connection 505',
    rabbitMq: 'socket',
  },
  {
    what: 'a frame larger than before any agreement',
    sent: [Buffer.from([1, 0, 0, 0, 1, 0, 0])],
    answer: 'connection 501',
    rabbitMq: 'socket',
  },
];
