import { BODY, frame, header, HEADER, publish, short } from '../server.js';
import { NOTHING, type WrongFrames } from './frames.js';

/** Frames that are none. */
export const MALFORMED: readonly WrongFrames[] = [
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
