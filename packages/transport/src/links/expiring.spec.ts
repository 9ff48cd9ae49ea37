import { describe, expect, it } from '@jest/globals';
import type { Message } from '@nestmq/broker';
import { expiring, isExpired } from './expiring.js';

const MESSAGE: Message = {
  exchange: 'x',
  routingKey: 'k',
  properties: { messageId: 'm' },
  body: Buffer.alloc(0),
};

describe('a message that expires', () => {
  it.each([
    [1000, '1000'],
    [0.2, '1'],
    [-5, '1'],
  ])('is told to the broker with what is left: %p ms as %p', (leftMs, expiration) => {
    const { properties } = expiring(MESSAGE, { expiresAt: 5000 + leftMs }, 5000);
    expect(properties).toEqual({ messageId: 'm', expiration });
  });

  it('is as it is when it has no end', () => {
    expect(expiring(MESSAGE, {}, 5000)).toBe(MESSAGE);
    expect(isExpired({}, 5000)).toBe(false);
  });

  it('is over at its end', () => {
    expect([4999, 5000].map((nowMs) => isExpired({ expiresAt: 5000 }, nowMs))).toEqual([false, true]);
  });
});
