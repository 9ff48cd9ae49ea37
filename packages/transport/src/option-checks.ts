import { QueueOptionsException } from './queue.exceptions.js';

/**
 * Milliseconds, or a number with a unit: `'250ms'`, `'5s'`, `'10m'`, `'12h'`, `'7d'`.
 *
 * @publicApi
 */
export type Duration = number | string;

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};
const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)$/;

/**
 * A {@link Duration} in milliseconds; undefined for what is none.
 *
 * @publicApi
 */
export function millisecondsOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? value : undefined;
  const [, amount, unit] = DURATION.exec(typeof value === 'string' ? value : '') ?? [];
  return unit === undefined ? undefined : Number(amount) * (UNITS_MS[unit] as number);
}

export function duration(
  key: string,
  value: unknown,
  fallback: number,
  minMs: number,
  maxMs: number,
): number {
  if (value === undefined) return fallback;
  const milliseconds = millisecondsOf(value);
  if (milliseconds !== undefined && milliseconds >= minMs && milliseconds <= maxMs) return milliseconds;
  throw new QueueOptionsException(
    `'${key}' is ${describe(value)}.`,
    `Give milliseconds from ${minMs} to ${maxMs}, or a number with a unit, such as '5s' or '10m'.`,
  );
}

/** A timer can't wait for longer. */
const TIMEOUT_MS_MAX = 24 * 86_400_000;

/** How long a request waits for an answer; 0 is for ever. */
export function requestTimeout(key: string, value: unknown, fallback: number): number {
  return duration(key, value, fallback, 0, TIMEOUT_MS_MAX);
}

/** How long a message may wait for another attempt: 30 days. Milliseconds. */
const RETRY_DELAY_MS_MAX = 30 * 86_400_000;

/** How long a message waits for another attempt. */
export function retryDelay(key: string, value: unknown, fallback: number): number {
  return duration(key, value, fallback, 0, RETRY_DELAY_MS_MAX);
}

export function flag(key: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value === 'boolean') return value;
  throw new QueueOptionsException(`'${key}' is ${describe(value)}.`, 'Give true or false.');
}

export function optional<T>(value: unknown, fallback: T, check: (value: unknown) => T): T {
  return value === undefined ? fallback : check(value);
}

export function queueName(key: string, value: unknown): string {
  if (
    typeof value === 'string' &&
    value !== '' &&
    !value.startsWith('amq.') &&
    Buffer.byteLength(value) <= 200
  ) {
    return value;
  }
  throw new QueueOptionsException(
    `'${key}' is ${describe(value)}.`,
    "Give a name of 1 to 200 bytes that does not start with 'amq.', such as 'billing'.",
  );
}

export function integer(key: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new QueueOptionsException(
    `'${key}' is ${describe(value)}.`,
    `Give a whole number from ${min} to ${max}.`,
  );
}

export function table(key: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new QueueOptionsException(`'${key}' is ${describe(value)}.`, 'Give an object.');
}

export function assertKeys(where: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw new QueueOptionsException(
      `${where} has the unknown option '${key}'.`,
      `Options here are: ${known.join(', ')}.`,
    );
  }
}

/** Runs a check; what it throws says where that was. */
export function located<T>(where: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof QueueOptionsException)
      throw new QueueOptionsException(`In ${where}:`, error.message);
    throw error;
  }
}

export function describe(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`;
  // Not what is in it: that may be secret, and need not be printable.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  const type = typeof value;
  return type === 'undefined' ? 'missing' : `${String(value)} (${type})`;
}
