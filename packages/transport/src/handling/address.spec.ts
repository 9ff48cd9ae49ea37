import { describe, expect, it } from '@jest/globals';
import type { FieldTable, Message } from '@nestmq/broker';
import { addressOf, headersFor, headersOf, propertiesFor } from './address.js';

const message = (exchange: string, headers?: FieldTable, routingKey = 'order.placed'): Message => ({
  exchange,
  routingKey,
  properties: headers === undefined ? {} : { headers },
  body: Buffer.alloc(0),
});

const OURS = { 'x-nestmq-routing-key': 'order.placed' } as const;

describe('whom a message is for', () => {
  it.each([
    ['nestmq.events', 'event'],
    ['nestmq.events.delayed', 'event'],
    ['amq.topic', 'event'],
    ['nestmq.requests', 'request'],
    ['nestmq.requests.delayed', 'request'],
  ])('is told by the routing key, through the exchange %s', (exchange, kind) => {
    expect(addressOf(message(exchange))).toEqual({
      kind,
      pattern: 'order.placed',
      attempts: 0,
      handlers: undefined,
      dueAt: undefined,
    });
  });

  it('is not told by headers of a producer', () => {
    const headers = { ...OURS, 'x-nestmq-attempts-before': 4, 'x-nestmq-handlers': ['a@0'] };
    expect(
      addressOf(message('nestmq.events', { ...headers, 'x-nestmq-routing-key': 'other' })),
    ).toMatchObject({
      pattern: 'order.placed',
      attempts: 0,
      handlers: undefined,
    });
  });

  it.each(['', 'nestmq.delayed'])('is told by its headers when it comes again, through %p', (exchange) => {
    const headers = {
      ...OURS,
      'x-nestmq-exchange': 'nestmq.requests',
      'x-nestmq-attempts-before': 4,
      'x-nestmq-handlers': ['a@0'],
      'x-nestmq-due-at': 1_700_000_000_000n,
    };
    expect(addressOf(message(exchange, headers, 'queue'))).toEqual({
      kind: 'request',
      pattern: 'order.placed',
      attempts: 4,
      handlers: ['a@0'],
      dueAt: 1_700_000_000_000,
    });
  });

  it('is not known of what came straight to a queue from a stranger', () => {
    expect(addressOf(message(''))).toBeUndefined();
    expect(addressOf(message('', { 'x-nestmq-routing-key': 7 }))).toBeUndefined();
  });

  it.each([
    ['x-nestmq-attempts-before', 'attempts', [-1, 1.5, 'three', true, null], 0],
    ['x-nestmq-handlers', 'handlers', ['a@0', 7, {}, null], undefined],
    ['x-nestmq-due-at', 'dueAt', ['soon', Number.NaN, Infinity, true, null], undefined],
  ])('does without a header %s that is none', (header, key, values, expected) => {
    for (const value of values) {
      const address = addressOf(message('', { ...OURS, [header]: value as never }));
      expect(address?.[key as 'attempts']).toEqual(expected);
    }
  });
});

describe('a message that goes on', () => {
  it('is addressed as before', () => {
    const address = { kind: 'request', pattern: 'p', attempts: 2, handlers: ['p@0'], dueAt: 99 } as const;
    const again = headersFor(message('nestmq.requests', { own: 1 }), address);
    expect(again['own']).toBe(1);
    expect(addressOf(message('', again))).toEqual(address);
  });

  it('is not due any more when it was', () => {
    const headers = { 'x-nestmq-due-at': 5, ...OURS };
    const address = addressOf(message('', headers));
    expect(headersFor(message('', headers), { ...address, dueAt: undefined } as never)).not.toHaveProperty(
      'x-nestmq-due-at',
    );
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
    expect(headersOf(message('e', { ...way, kept: 1 }))).toEqual({ kept: 1 });
    const from: Message = { ...message('e'), properties: { userId: 'guest', appId: 'shop', priority: 3 } };
    expect(propertiesFor(from, { kept: 1 })).toEqual({ appId: 'shop', priority: 3, headers: { kept: 1 } });
  });
});
