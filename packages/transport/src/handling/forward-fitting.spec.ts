import { describe, expect, it } from '@jest/globals';
import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';
import { forwardFitting } from './forward-fitting.js';

const delivery = {} as LinkDelivery;

/** A link that takes headers up to a size, and what it was given. */
function linkUpTo(bytes: number, fails: Error = new RangeError('out of range')) {
  const given: ForwardedMessage[] = [];
  const link = {
    async forward(_delivery: LinkDelivery, messages: readonly ForwardedMessage[]) {
      for (const { properties } of messages)
        if (JSON.stringify(properties.headers).length > bytes) throw fails;
      given.push(...messages);
    },
  } as unknown as Link;
  return { link, given };
}

const letter = (headers: Record<string, unknown>): ForwardedMessage => ({
  exchange: '',
  routingKey: 'q.dead',
  properties: { messageId: 'm', headers: headers as never },
});

describe('a message whose headers do not fit the wire any more', () => {
  it('goes without the stack and the text of its error first', async () => {
    const { link, given } = linkUpTo(62_000);
    const own = { big: 'x'.repeat(50_000) };
    const details = {
      'x-nestmq-error-message': 'y'.repeat(10_000),
      'x-nestmq-error-stack': 'z'.repeat(10_000),
    };
    await forwardFitting(link, delivery, [letter({ ...own, ...details, 'x-nestmq-reason': 'attempts' })]);
    expect(given).toEqual([letter({ ...own, 'x-nestmq-reason': 'attempts' })]);
  });

  it('goes without its largest headers then, and names them', async () => {
    const { link, given } = linkUpTo(62_000);
    const headers = {
      small: 1n,
      big: 'x'.repeat(40_000),
      biggest: 'x'.repeat(50_000),
      'x-nestmq-attempts': 5,
    };
    await forwardFitting(link, delivery, [letter({ ...headers, small: 1 })]);
    const { biggest: _, ...rest } = { ...headers, small: 1 };
    expect(given).toEqual([letter({ ...rest, 'x-nestmq-dropped-headers': ['biggest'] })]);
  });

  it('is as it is when it fits, and other failures are its caller’s', async () => {
    const { link, given } = linkUpTo(1000);
    await forwardFitting(link, delivery, [letter({ a: 1 })]);
    expect(given).toEqual([letter({ a: 1 })]);
    const away = linkUpTo(0, new Error('away'));
    await expect(forwardFitting(away.link, delivery, [letter({ a: 1 })])).rejects.toThrow('away');
  });
});
