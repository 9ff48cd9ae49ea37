import { describe, expect, it } from '@jest/globals';
import type { FieldTable, Message } from '@nestmq/broker';
import { readEnvelope } from '../wire/incoming.js';
import { headersFor, type Origin, type Progress, progressOf, propertiesFor } from './address.js';

const message = (exchange: string, headers?: FieldTable, routingKey = 'order.placed'): Message => ({
  exchange,
  routingKey,
  properties: headers === undefined ? {} : { headers },
  body: Buffer.alloc(0),
});

const NOTHING: Progress = { attempts: 0, handlers: undefined, dueAt: undefined };
const OURS = { 'x-nestmq-routing-key': 'order.placed' } as const;

const EVENT: Origin = { kind: 'event', pattern: 'order.placed', replyFormat: 'nestmq' };

describe('how far a message has come', () => {
  it('is not told by headers of a producer', () => {
    const headers = { ...OURS, 'x-nestmq-attempts-before': 4, 'x-nestmq-handlers': ['a@0'] };
    for (const exchange of ['nestmq.events', 'nestmq.events.delayed', 'nestmq.requests', 'amq.topic'])
      expect(progressOf(message(exchange, headers))).toEqual(NOTHING);
    expect(progressOf(message('nestmq.events'))).toEqual(NOTHING);
    expect(progressOf(message('nestmq.events', { 'x-nestmq-due-at': 7 }))).toEqual({ ...NOTHING, dueAt: 7 });
  });

  it.each(['', 'nestmq.delayed'])('is told by its headers when it comes again, through %p', (exchange) => {
    const headers = {
      ...OURS,
      'x-nestmq-attempts-before': 4,
      'x-nestmq-handlers': ['a@0'],
      'x-nestmq-due-at': 1_700_000_000_000n,
    };
    expect(progressOf(message(exchange, headers, 'queue'))).toEqual({
      attempts: 4,
      handlers: ['a@0'],
      dueAt: 1_700_000_000_000,
    });
  });

  it.each([
    ['x-nestmq-attempts-before', 'attempts', [-1, 1.5, 'three', true, null], 0],
    ['x-nestmq-handlers', 'handlers', ['a@0', 7, {}, null], undefined],
    ['x-nestmq-due-at', 'dueAt', ['soon', Number.NaN, Infinity, true, null], undefined],
  ])('does without a header %s that is none', (header, key, values, expected) => {
    for (const value of values) {
      const progress = progressOf(message('', { ...OURS, [header]: value as never }));
      expect(progress[key as 'attempts']).toEqual(expected);
    }
  });
});

describe('a message that goes on', () => {
  it('is addressed as before', () => {
    const progress: Progress = { attempts: 2, handlers: ['p@0'], dueAt: 99 };
    const origin: Origin = { kind: 'request', pattern: 'p', replyFormat: 'nestmq' };
    const again = headersFor(message('nestmq.requests', { own: 1 }, 'p'), origin, progress);
    expect(again['own']).toBe(1);
    expect(progressOf(message('', again))).toEqual(progress);
    expect(readEnvelope(message('', again))).toEqual({ kind: 'request', pattern: 'p' });
  });

  it('is not due any more when it was', () => {
    const headers = { 'x-nestmq-due-at': 5, ...OURS };
    expect(headersFor(message('', headers), EVENT, NOTHING)).not.toHaveProperty('x-nestmq-due-at');
  });

  it('leaves behind what belongs to its way: deaths, delays, copies, and whose it was', () => {
    const way = {
      'x-death': [],
      'x-first-death-exchange': 'e',
      'x-first-death-queue': 'q',
      'x-first-death-reason': 'expired',
      'x-delay': 5,
      CC: ['other'],
      BCC: ['another'],
    };
    const left = headersFor(message('nestmq.events', { ...way, kept: 1 }), EVENT, NOTHING);
    expect(left).toEqual({ ...OURS, 'x-nestmq-exchange': 'nestmq.events', kept: 1 });
    const from: Message = { ...message('e'), properties: { userId: 'guest', appId: 'shop', priority: 3 } };
    expect(propertiesFor(from, { kept: 1 })).toEqual({ appId: 'shop', priority: 3, headers: { kept: 1 } });
  });
});
