import { long, method, short, shortString } from './server.js';
import { CONTENT } from './wrong-frames/content.js';
import { CLOSE, CLOSE_OK, qos, type WrongFrames } from './wrong-frames/frames.js';
import { MALFORMED } from './wrong-frames/malformed.js';
import { METHODS } from './wrong-frames/methods.js';
import { REFUSED } from './wrong-frames/refused.js';

const OPEN: Buffer = method(1, 20, 10, shortString(''));

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
