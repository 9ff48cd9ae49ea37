import type { Clock } from '../clock.js';
import { LIMITS } from '../limits.js';

/** Wrong passwords of one user from one address that cost nothing yet. */
const FAILURES_FREE = 3;
/** Wrong passwords from one address, of any users. */
const ADDRESS_FAILURES_FREE = 30;
const FIRST_DELAY_MS = 125;
const DELAY_MS_MAX = 4000;
/** Who would wait longer is refused at once. */
const WAIT_MS_MAX = 8000;
/** So long after the last failure nothing is remembered of it. */
const FORGOTTEN_AFTER_MS = 60_000;

interface Entry {
  failures: number;
  failedAt: number;
  /** When the next attempt may be made. */
  nextAt: number;
}

/**
 * Makes guessing slow: after some failures attempts have to wait for each other, twice as long after each more. By user
 * and address, and by address alone, but not by user alone, so that nobody can lock out another; and who has logged in from an
 * address does not wait for what others do there. Remembers a bounded number.
 */
export class LoginThrottle {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();
  /** Users and addresses that have succeeded; the newest is the last. */
  readonly #welcome = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with whether the attempt may be made, when its time has come. */
  async admit(user: string, address: string): Promise<boolean> {
    const now = this.#clock.now();
    const waits = this.#keysFor(user, address).map(({ key, free }) => this.#reserve(key, free, now));
    const waitMs = Math.max(...waits);
    if (waitMs > WAIT_MS_MAX) return false;
    if (waitMs > 0) await this.#pass(waitMs);
    return true;
  }

  /** Whether an attempt would have to wait now. */
  delays(user: string, address: string): boolean {
    const now = this.#clock.now();
    return this.#keysFor(user, address).some(
      ({ key, free }) => (this.#entry(key, now)?.failures ?? 0) >= free,
    );
  }

  failed(user: string, address: string): void {
    const now = this.#clock.now();
    for (const { key } of keysOf(user, address)) {
      const failures = (this.#entry(key, now)?.failures ?? 0) + 1;
      const nextAt = this.#entries.get(key)?.nextAt ?? now;
      // The newest is the last to be forgotten.
      this.#entries.delete(key);
      this.#entries.set(key, { failures, failedAt: now, nextAt });
    }
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > LIMITS.failedLoginsMax && oldest !== undefined) this.#entries.delete(oldest);
  }

  /** What the address has done with others' names stays remembered. */
  succeeded(user: string, address: string): void {
    const key = userKey(user, address);
    this.#entries.delete(key);
    this.#welcome.delete(key);
    this.#welcome.add(key);
    const [oldest] = this.#welcome;
    if (this.#welcome.size > LIMITS.failedLoginsMax && oldest !== undefined) this.#welcome.delete(oldest);
  }

  #keysFor(user: string, address: string): readonly Key[] {
    const [own, ofAddress] = keysOf(user, address);
    return this.#welcome.has(own.key) ? [own] : [own, ofAddress];
  }

  #reserve(key: string, free: number, now: number): number {
    const entry = this.#entry(key, now);
    if (entry === undefined || entry.failures < free) return 0;
    const delay = Math.min(FIRST_DELAY_MS * 2 ** (entry.failures - free), DELAY_MS_MAX);
    const at = Math.max(now, entry.nextAt) + delay;
    if (at - now <= WAIT_MS_MAX) entry.nextAt = at;
    return at - now;
  }

  #entry(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && now - entry.failedAt < FORGOTTEN_AFTER_MS ? entry : undefined;
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#clock.setTimer(ms, resolve);
    });
  }
}

interface Key {
  readonly key: string;
  /** Failures that cost nothing yet. */
  readonly free: number;
}

function keysOf(user: string, address: string): readonly [own: Key, ofAddress: Key] {
  return [
    { key: userKey(user, address), free: FAILURES_FREE },
    { key: networkOf(address), free: ADDRESS_FAILURES_FREE },
  ];
}

function userKey(user: string, address: string): string {
  return `${networkOf(address)} ${user}`;
}

/** An IPv6 host has 2^64 addresses: they count as one. */
export function networkOf(address: string): string {
  const mapped = address.replace(/^::ffff:/, '');
  if (!mapped.includes(':')) return mapped;
  const [head = '', tail = ''] = mapped.split('::');
  const [first, last] = [head, tail].map((part) => part.split(':').filter((group) => group !== ''));
  const gap = mapped.includes('::') ? 8 - (first?.length ?? 0) - (last?.length ?? 0) : 0;
  const groups = [...(first ?? []), ...Array.from({ length: gap }, () => '0'), ...(last ?? [])];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
