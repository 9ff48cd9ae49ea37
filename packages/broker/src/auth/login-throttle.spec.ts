import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { LoginThrottle, networkOf } from './login-throttle.js';

/** Whether an attempt is let through at once, has to wait, or is refused. */
async function attempt(throttle: LoginThrottle, user: string, address: string): Promise<string> {
  let outcome = 'waits';
  void throttle.admit(user, address).then((admitted) => (outcome = admitted ? 'admitted' : 'refused'));
  for (let i = 0; i < 5; i++) await Promise.resolve();
  return outcome;
}

function failing(times: number, throttle: LoginThrottle, user = 'u', address = '10.0.0.1'): void {
  for (let i = 0; i < times; i++) throttle.failed(user, address);
}

describe('repeated failures to log in', () => {
  it('cost nothing three times, then make the next attempt wait by the clock', async () => {
    const clock = new ManualClock();
    const throttle = new LoginThrottle(clock);
    failing(2, throttle);
    expect(await attempt(throttle, 'u', '10.0.0.1')).toBe('admitted');
    failing(1, throttle);
    const admitted = throttle.admit('u', '10.0.0.1');
    expect(await attempt(throttle, 'u', '10.0.0.1')).toBe('waits');
    clock.advance(125);
    expect(await admitted).toBe(true);
  });

  it('are not made cheaper by trying at the same time: attempts queue up, and are refused when too many do', async () => {
    const throttle = new LoginThrottle(new ManualClock());
    failing(10, throttle);
    const outcomes = [];
    for (let i = 0; i < 4; i++) outcomes.push(await attempt(throttle, 'u', '10.0.0.1'));
    expect(outcomes).toEqual(['waits', 'waits', 'refused', 'refused']);
  });

  it('do not lock the user out elsewhere, nor other users of the same address', async () => {
    const throttle = new LoginThrottle(new ManualClock());
    failing(20, throttle);
    expect(await attempt(throttle, 'u', '10.0.0.2')).toBe('admitted');
    expect(await attempt(throttle, 'other', '10.0.0.1')).toBe('admitted');
  });

  it('slow an address down that tries many users', async () => {
    const throttle = new LoginThrottle(new ManualClock());
    for (let i = 0; i < 40; i++) throttle.failed(`u${i}`, '10.0.0.1');
    expect(await attempt(throttle, 'another', '10.0.0.1')).toBe('waits');
  });

  it('of others do not slow down who has logged in from that address before, whose own still do', async () => {
    const throttle = new LoginThrottle(new ManualClock());
    throttle.succeeded('known', '10.0.0.1');
    for (let i = 0; i < 40; i++) throttle.failed(`u${i}`, '10.0.0.1');
    expect(await attempt(throttle, 'known', '10.0.0.1')).toBe('admitted');
    expect(throttle.delays('known', '10.0.0.1')).toBe(false);
    failing(3, throttle, 'known');
    expect(await attempt(throttle, 'known', '10.0.0.1')).toBe('waits');
  });

  it('are forgotten after a minute, and when the user succeeds', async () => {
    const clock = new ManualClock();
    const throttle = new LoginThrottle(clock);
    failing(10, throttle);
    throttle.succeeded('u', '10.0.0.1');
    expect(await attempt(throttle, 'u', '10.0.0.1')).toBe('admitted');
    failing(10, throttle);
    clock.advance(60_000);
    expect(await attempt(throttle, 'u', '10.0.0.1')).toBe('admitted');
  });

  it('are remembered of a bounded number, the newest', async () => {
    const throttle = new LoginThrottle(new ManualClock());
    failing(10, throttle, 'first', '10.1.0.1');
    for (let i = 0; i < 5000; i++) throttle.failed('u', `10.2.${i >> 8}.${i & 255}`);
    expect(await attempt(throttle, 'first', '10.1.0.1')).toBe('admitted');
  });

  it('count for the network of an IPv6 host', () => {
    expect(networkOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64');
    expect(networkOf('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(networkOf('::1')).toBe('0:0:0:0::/64');
    expect(networkOf('::ffff:10.0.0.1')).toBe('10.0.0.1');
  });
});
