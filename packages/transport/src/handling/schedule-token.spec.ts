import { describe, expect, it } from '@jest/globals';
import { merged, readToken, tokenMessage, withoutForgotten } from './schedule-token.js';

const DAY_MS = 86_400_000;

describe('the token of schedules', () => {
  it('is read as it was written', () => {
    const token = { id: 'a', seenTo: new Map([['tick', Date.UTC(2026, 0, 1)]]) };
    const { exchange, routingKey, body } = tokenMessage('billing.schedule', token);
    expect([exchange, routingKey]).toEqual(['', 'billing.schedule']);
    expect(readToken(body)).toEqual(token);
  });

  it.each(['', 'null', '[]', '{', '{"id":1,"seenTo":5}', '{"seenTo":{"tick":"yesterday","tock":7}}'])(
    'that says %s tells nothing',
    (body) => {
      expect(readToken(Buffer.from(body))).toEqual({ id: '', seenTo: new Map() });
    },
  );

  it('that is there twice says of each schedule the later time', () => {
    const one = new Map([
      ['a', 1],
      ['b', 5],
    ]);
    const other = new Map([
      ['b', 4],
      ['c', 3],
    ]);
    expect(Object.fromEntries(merged(one, other))).toEqual({ a: 1, b: 5, c: 3 });
    expect(Object.fromEntries(merged(other, one))).toEqual({ a: 1, b: 5, c: 3 });
  });

  it('forgets schedules that are unknown and have not come for 30 days, and no others', () => {
    const now = 100 * DAY_MS;
    const seenTo = new Map([
      ['known', 0],
      ['old', 70 * DAY_MS],
      ['of another version', 70 * DAY_MS + 1],
    ]);
    expect([...withoutForgotten(seenTo, new Set(['known']), now).keys()]).toEqual([
      'known',
      'of another version',
    ]);
  });
});
