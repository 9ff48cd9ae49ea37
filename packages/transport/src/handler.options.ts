import {
  assertKeys,
  describe,
  duration,
  type Duration,
  flag,
  integer,
  located,
  optional,
  queueName,
  table,
} from './option-checks.js';
import { describeError } from './describe-error.js';
import { deadLetterQueueOf } from './envelope.js';
import { timesOf } from './cron-times.js';
import type { RetryPolicy } from './retry-policy.js';
import { QueueOptionsException } from './queue.exceptions.js';
import { retryPolicyOf, type RetryOptions } from './retry.options.js';

/**
 * At most `max` starts of the handler in any `per`, in each instance; a batch is one start, a retry another.
 *
 * @publicApi
 */
export interface RateLimitOptions {
  /** Whole number, 1 to 1,000,000. */
  readonly max: number;
  /** @default '1s' */
  readonly per?: Duration;
}

/**
 * How messages are gathered into lists.
 *
 * @publicApi
 */
export interface BatchOptions {
  /** Messages that are handed over together at most. Whole number, 1 to 10,000. */
  readonly size: number;
  /** How long the first of them waits for others. Milliseconds or `'5s'`, up to a day. @default '1s' */
  readonly timeoutMs?: Duration;
}

/**
 * What is remembered of messages that were handled.
 *
 * @publicApi
 */
export interface DeduplicationOptions {
  /** How long a message id is remembered. @default '1d' */
  readonly window?: Duration;
  /**
   * How many are remembered at most, the latest. Each instance has them in memory, and reads them all when it starts.
   * Whole number, 1 to 500,000. @default 100_000
   */
  readonly max?: number;
}

/**
 * When a handler is called by the clock.
 *
 * @publicApi
 */
export interface ScheduleOptions {
  /** When, in cron's five fields, or six with seconds first. */
  readonly cron: string;
  /** An IANA time zone, such as 'Europe/Berlin'. @default 'UTC' */
  readonly timeZone?: string;
  /** What follows when no instance ran at the time: one firing for all that were missed, or none. @default 'once' */
  readonly missed?: 'once' | 'skip';
}

/**
 * Which messages keep their order: those with the same key. Undefined: no order.
 *
 * @publicApi
 */
export type OrderingKeyFunction = (
  data: never,
  headers: Readonly<Record<string, unknown>>,
) => string | undefined;

/**
 * What a handler's extras and `QueueModule.forFeature` can say.
 *
 * @publicApi
 */
export interface HandlerOptions {
  /** A queue of its own instead of the service's. */
  readonly queue?: string;
  /** @default the module's */
  readonly retry?: RetryOptions;
  /** Where messages go that were given up; false: they are logged and gone. @default `QUEUE.dead` */
  readonly deadLetter?: string | false;
  /**
   * Messages of this handler that run at once, in each instance; of a handler with `batch`, batches. Whole number, 1 to
   * prefetchCount. @default as many as are prefetched
   */
  readonly concurrency?: number;
  /** Deliveries of its queue that are unsettled at once, in each instance; handlers of one queue agree. @default the module's */
  readonly prefetchCount?: number;
  /**
   * Messages with the same key are handled one after the other, retries included; keys run side by side. `true`: the key
   * that the producer gave (header `x-nestmq-ordering-key`); a name: that property of the data; or a function. A key is a
   * string or a number; what has none keeps no order, and one of another type, or a function that throws, dead-letters the
   * message. Retries wait in this instance with the message unsettled, so a restart begins its attempts anew. Its queue
   * has one active instance at a time. @default no order
   */
  readonly orderingKey?: true | string | OrderingKeyFunction;
  /** Messages of a higher priority come first: how many levels the queue has. Whole number, 1 to 255. @default none */
  readonly priority?: number;
  /** @default none */
  readonly rateLimit?: RateLimitOptions;
  /** The handler gets a list of data and a QueueBatchContext. Events only. @default one by one */
  readonly batch?: BatchOptions;
  /** A handler that takes longer has failed; its signal aborts. Milliseconds or `'30s'`. @default no limit */
  readonly timeoutMs?: Duration;
  /** What was handled once, by its message id, is not handled again, also after a crash. @default false */
  readonly deduplication?: boolean | DeduplicationOptions;
  /** The handler's event is emitted at these times, once in the whole fleet. Events only. @default never */
  readonly schedule?: string | ScheduleOptions;
  /** Messages are settled before they are handled: what fails, or is under way in a crash, is lost. @default false */
  readonly noAck?: boolean;
}

/** {@link HandlerOptions} with the defaults filled in. Milliseconds. */
export interface HandlerPolicy {
  readonly queue: string;
  readonly retry: RetryPolicy;
  /** Undefined: nowhere. */
  readonly deadLetterQueue: string | undefined;
  readonly concurrency: number | undefined;
  readonly prefetchCount: number;
  readonly orderingKey: true | string | OrderingKeyFunction | undefined;
  readonly priority: number | undefined;
  readonly rateLimit: { readonly max: number; readonly perMs: number } | undefined;
  readonly batch: { readonly size: number; readonly timeoutMs: number } | undefined;
  readonly timeoutMs: number | undefined;
  readonly deduplication: { readonly windowMs: number; readonly max: number } | undefined;
  readonly schedule: Required<ScheduleOptions> | undefined;
  readonly noAck: boolean;
}

/** What the module says for all its handlers. */
export type HandlerDefaults = Pick<HandlerPolicy, 'queue' | 'retry' | 'prefetchCount' | 'noAck'>;

const DAY_MS = 86_400_000;
const WINDOW_MS_MAX = 30 * DAY_MS;
const HANDLER_KEYS: readonly (keyof HandlerOptions)[] = [
  'queue',
  'retry',
  'deadLetter',
  'concurrency',
  'prefetchCount',
  'orderingKey',
  'priority',
  'rateLimit',
  'batch',
  'timeoutMs',
  'deduplication',
  'schedule',
  'noAck',
];

/** Checks the options of what `where` names. Throws QueueOptionsException. */
export function normaliseHandlerOptions(
  where: string,
  options: HandlerOptions,
  defaults: HandlerDefaults,
): HandlerPolicy {
  assertKeys(where, options, HANDLER_KEYS);
  const policy = located(where, () => policyOf(options, defaults));
  assertTogether(where, options, policy);
  return policy;
}

function policyOf(options: HandlerOptions, defaults: HandlerDefaults): HandlerPolicy {
  const queue = optional(options.queue, defaults.queue, (value) => queueName('queue', value));
  return {
    queue,
    retry: retryPolicyOf('retry', options.retry, defaults.retry),
    deadLetterQueue: deadLetterQueue('deadLetter', options.deadLetter, queue),
    concurrency: maybe(options.concurrency, (value) => integer('concurrency', value, 1, 1, 65_535)),
    prefetchCount: integer('prefetchCount', options.prefetchCount, defaults.prefetchCount, 1, 65_535),
    orderingKey: orderingKey('orderingKey', options.orderingKey),
    priority: maybe(options.priority, (value) => integer('priority', value, 1, 1, 255)),
    rateLimit: maybe(options.rateLimit, (value) => rateLimit('rateLimit', value)),
    batch: maybe(options.batch, (value) => batch('batch', value)),
    timeoutMs: maybe(options.timeoutMs, (value) => duration('timeoutMs', value, 1, 1, DAY_MS)),
    deduplication: deduplication('deduplication', options.deduplication),
    schedule: maybe(options.schedule, (value) => schedule('schedule', value)),
    noAck: flag('noAck', options.noAck, defaults.noAck),
  };
}

function maybe<T, R>(value: T | undefined, check: (value: T) => R): R | undefined {
  return value === undefined ? undefined : check(value);
}

/** Options that contradict each other. */
function assertTogether(where: string, options: HandlerOptions, policy: HandlerPolicy): void {
  const { batch: asked, concurrency, prefetchCount, orderingKey: ordered } = policy;
  assertReachable(where, 'batch.size', asked?.size, prefetchCount);
  assertReachable(where, 'concurrency', concurrency, prefetchCount);
  if (asked !== undefined && ordered !== undefined) {
    throw new QueueOptionsException(
      `${where} has both a batch and an orderingKey.`,
      'A batch is handled as one; give one of the two.',
    );
  }
  if (policy.noAck) assertSettledBefore(where, options);
}

function assertReachable(where: string, key: string, count: number | undefined, prefetchCount: number): void {
  if (count === undefined || count <= prefetchCount) return;
  throw new QueueOptionsException(
    `The ${key} of ${where} is ${count}, but only ${prefetchCount} messages are prefetched.`,
    'Give it a prefetchCount of at least that.',
  );
}

/** What a handler can't have whose messages are settled before they are handled. */
const NEED_ACK: readonly (keyof HandlerOptions)[] = [
  'retry',
  'deadLetter',
  'prefetchCount',
  'concurrency',
  'orderingKey',
  'rateLimit',
  'batch',
  'deduplication',
];

/** Nothing that was settled can come again or go elsewhere, and what waits would be lost, and have no bound. */
function assertSettledBefore(where: string, options: HandlerOptions): void {
  const wrong = NEED_ACK.filter((key) => options[key] !== undefined && options[key] !== false);
  if (wrong.length === 0) return;
  throw new QueueOptionsException(
    `${where} has noAck, and ${wrong.join(', ')}.`,
    'Those need messages that are settled after they are handled; give noAck: false.',
  );
}

function deadLetterQueue(key: string, value: unknown, queue: string): string | undefined {
  if (value === undefined) return deadLetterQueueOf(queue);
  if (value === false) return undefined;
  const name = queueName(key, value);
  if (name !== queue) return name;
  throw new QueueOptionsException(
    `'${key}' is the queue '${queue}' itself, so that what is given up would come again for ever.`,
    'Give another name, or none.',
  );
}

function orderingKey(key: string, value: unknown): HandlerPolicy['orderingKey'] {
  if (value === undefined || value === true || typeof value === 'function') {
    return value as HandlerPolicy['orderingKey'];
  }
  if (typeof value === 'string' && value !== '') return value;
  throw new QueueOptionsException(
    `'${key}' is ${describe(value)}.`,
    'Give true, the name of a property of the data, or a function.',
  );
}

function rateLimit(key: string, value: unknown): HandlerPolicy['rateLimit'] {
  const options = table(key, value);
  assertKeys(key, options, ['max', 'per']);
  return {
    max: required(`${key}.max`, options['max'], 1_000_000),
    perMs: duration(`${key}.per`, options['per'], 1000, 1, DAY_MS),
  };
}

function batch(key: string, value: unknown): HandlerPolicy['batch'] {
  const options = table(key, value);
  assertKeys(key, options, ['size', 'timeoutMs']);
  return {
    size: required(`${key}.size`, options['size'], 10_000),
    timeoutMs: duration(`${key}.timeoutMs`, options['timeoutMs'], 1000, 1, DAY_MS),
  };
}

/** A whole number from 1 that has no default. */
function required(key: string, value: unknown, max: number): number {
  return integer(key, value ?? null, 1, 1, max);
}

function deduplication(key: string, value: unknown): HandlerPolicy['deduplication'] {
  if (value === undefined || value === false) return undefined;
  const options = value === true ? {} : table(key, value);
  assertKeys(key, options, ['window', 'max']);
  return {
    windowMs: duration(`${key}.window`, options['window'], DAY_MS, 1, WINDOW_MS_MAX),
    max: integer(`${key}.max`, options['max'], 100_000, 1, 500_000),
  };
}

function schedule(key: string, value: unknown): HandlerPolicy['schedule'] {
  const options = typeof value === 'string' ? { cron: value } : table(key, value);
  assertKeys(key, options, ['cron', 'timeZone', 'missed']);
  const { cron, timeZone = 'UTC', missed = 'once' } = options as unknown as ScheduleOptions;
  if (typeof cron !== 'string' || typeof timeZone !== 'string' || !['once', 'skip'].includes(missed)) {
    throw new QueueOptionsException(
      `'${key}' is ${describe(value)}.`,
      "Give cron's fields, such as '0 6 * * *', or { cron, timeZone, missed: 'once' | 'skip' }.",
    );
  }
  assertCron(key, cron, timeZone);
  return { cron, timeZone, missed };
}

function assertCron(key: string, cron: string, timeZone: string): void {
  try {
    timesOf(cron, timeZone);
  } catch (error) {
    throw new QueueOptionsException(
      `'${key}' can't be meant: '${cron}' in the time zone '${timeZone}' (${describeError(error)}).`,
      "Give cron's fields, such as '0 6 * * *' (minute, hour, day of month, month, day of week; seconds may come first), and an IANA time zone, such as 'Europe/Berlin'.",
    );
  }
}
