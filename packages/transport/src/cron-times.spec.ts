import { describe, expect, it } from '@jest/globals';
import { timesOf } from './cron-times.js';

const ms = (iso: string): number => Date.parse(iso);

function timesAfter(cron: string, timeZone: string, after: string, count: number): string[] {
  const times = timesOf(cron, timeZone);
  const found: string[] = [];
  for (let at = ms(after); found.length < count;) {
    at = times.after(at) as number;
    found.push(new Date(at).toISOString());
  }
  return found;
}

describe('CronTimes', () => {
  it('has five fields, or six with seconds first, or a nickname', () => {
    expect(timesAfter('30 6 * * *', 'UTC', '2026-01-01T06:30:00Z', 2)).toEqual([
      '2026-01-02T06:30:00.000Z',
      '2026-01-03T06:30:00.000Z',
    ]);
    expect(timesAfter('*/20 * * * * *', 'UTC', '2026-01-01T00:00:20.500Z', 2)).toEqual([
      '2026-01-01T00:00:40.000Z',
      '2026-01-01T00:01:00.000Z',
    ]);
    expect(timesAfter('@daily', 'UTC', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-02T00:00:00.000Z']);
  });

  it('comes on either of the days when both of the month and of the week are given, as cron does', () => {
    expect(timesAfter('0 0 13 * 5', 'UTC', '2026-01-01T00:00:00Z', 4)).toEqual([
      '2026-01-02T00:00:00.000Z',
      '2026-01-09T00:00:00.000Z',
      '2026-01-13T00:00:00.000Z',
      '2026-01-16T00:00:00.000Z',
    ]);
  });

  it('keeps to the wall clock of its time zone', () => {
    expect(timesAfter('0 9 * * *', 'America/New_York', '2026-03-07T00:00:00Z', 2)).toEqual([
      '2026-03-07T14:00:00.000Z',
      '2026-03-08T13:00:00.000Z',
    ]);
  });

  it('comes at the first time that there is when the clock skips its own, and once when its own comes twice', () => {
    expect(timesAfter('30 2 * * *', 'Europe/Berlin', '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
    expect(timesAfter('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  it('goes on within the day when the clock is changed', () => {
    expect(timesAfter('0 * * * *', 'Europe/Berlin', '2026-10-24T23:30:00Z', 3)).toEqual([
      '2026-10-25T00:00:00.000Z',
      '2026-10-25T01:00:00.000Z',
      '2026-10-25T02:00:00.000Z',
    ]);
  });

  it.each([
    ['61 * * * *', 'UTC', /61/],
    ['', 'UTC', /invalid/],
    ['* * *', 'UTC', /parts/],
    ['0 0 * * * * 2030', 'UTC', /7 parts/],
    ['0 0 30 2 *', 'UTC', /never comes/],
    ['2026-05-05T00:00:00', 'UTC', /date/],
    ['0 0 * * *', 'Mars/Olympus', /Mars/],
  ])("refuses '%s' in %s", (cron, timeZone, reason) => {
    expect(() => timesOf(cron, timeZone)).toThrow(reason);
  });

  it('tells the last time of a span, however many there are', () => {
    const everySecond = timesOf('* * * * * *', 'UTC');
    const until = ms('2026-06-01T00:00:00.700Z');
    expect(everySecond.last(ms('2026-01-01T00:00:00Z'), until)).toBe(ms('2026-06-01T00:00:00Z'));
    const january = timesOf('* * * 1 *', 'Europe/Berlin');
    expect(january.last(ms('2025-12-01T00:00:00Z'), until)).toBe(ms('2026-01-31T22:59:00Z'));
    expect(january.last(ms('2026-01-31T22:59:00Z'), until)).toBeUndefined();
    expect(january.last(ms('2026-01-31T22:58:59.999Z'), ms('2026-01-31T22:59:00Z'))).toBe(
      ms('2026-01-31T22:59:00Z'),
    );
  });
});
