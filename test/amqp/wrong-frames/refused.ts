import { header, long, method, publish, short, shortString } from '../server.js';
import { BIT, type WrongFrames } from './frames.js';

/** What is well formed, and refused. */
export const REFUSED: readonly WrongFrames[] = [
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
