import type { EmbeddedBrokerOptions } from './links/embedded-brokers.js';
import {
  assertKeys,
  describe,
  duration,
  type Duration,
  integer,
  optional,
  queueName,
  table,
} from './option-checks.js';
import { QueueOptionsException } from './queue.exceptions.js';
import {
  type NormalisedWireOptions,
  normaliseWireOptions,
  WIRE_KEYS,
  type WireFormat,
  type WireOptions,
} from './wire/wire-options.js';

export interface RetryOptions {
  /**
   * How often an event is handed to its handler in all, until it is dead-lettered. 1 is no second try.
   * Whole number, 1 to 1000. @default 5
   */
  readonly attempts?: number;
}

/**
 * @publicApi
 */
export interface QueueOptions extends WireOptions {
  /**
   * Where messages live: `file:DIR` on the disk, owned by this process; `memory:` or `memory:NAME` in this process
   * and gone with it.
   */
  readonly url: string;
  /**
   * The service's queue. Instances of a service share it; handlers that name no other get their messages from it.
   * @default 'default'
   */
  readonly queue?: string;
  /**
   * Messages of one queue that may be in handlers at once. Whole number, 1 to 65535. @default 100
   */
  readonly prefetchCount?: number;
  /** What happens when an event's handler fails. */
  readonly retry?: RetryOptions;
  /**
   * How long shutdown waits for running handlers, then their signal aborts and their messages go back.
   * Milliseconds, 0 to 3,600,000. @default 10_000
   */
  readonly gracePeriod?: number;
  /**
   * How long a `send` waits for its first answer, and then for each next one; 0 is for ever. A record's `timeout` goes
   * first. A {@link Duration} up to 24 days. @default '60s'
   */
  readonly requestTimeout?: Duration;
  /**
   * What a client sends: `'nest-rmq'` is packets for a service on Nest's own RMQ transport, to its queue `queue`.
   * Handlers understand both, and answer in kind. @default 'nestmq'
   */
  readonly wireFormat?: WireFormat;
  /** For the embedded broker; counts for the first who opens it. */
  readonly broker?: EmbeddedBrokerOptions;
}

export interface NormalisedQueueOptions {
  readonly home: { readonly memory: string } | { readonly directory: string };
  readonly queue: string;
  readonly prefetchCount: number;
  readonly attempts: number;
  readonly gracePeriod: number;
  /** 0 is for ever. */
  readonly requestTimeoutMs: number;
  readonly wireFormat: WireFormat;
  readonly wire: NormalisedWireOptions;
  readonly broker: EmbeddedBrokerOptions;
}

/**
 * What a handler's extras and `QueueModule.forFeature` can say.
 *
 * @publicApi
 */
export interface HandlerOptions {
  /** A queue of its own instead of the service's. */
  readonly queue?: string;
  /** For this handler. @default the module's */
  readonly retry?: RetryOptions;
}

const DEFAULTS = {
  queue: 'default',
  prefetchCount: 100,
  attempts: 5,
  gracePeriod: 10_000,
  requestTimeoutMs: 60_000,
} as const;

const KEYS = [
  'url',
  'queue',
  'prefetchCount',
  'retry',
  'gracePeriod',
  'requestTimeout',
  'wireFormat',
  ...WIRE_KEYS,
  'broker',
];
const HANDLER_KEYS = ['queue', 'retry'];

/** Fills in the defaults. Throws QueueOptionsException for an unknown key, a wrong type or a number out of range. */
export function normaliseQueueOptions(options: QueueOptions): NormalisedQueueOptions {
  assertKeys('QueueModule', options, KEYS);
  return {
    home: parseUrl(options.url),
    queue: optional(options.queue, DEFAULTS.queue, (value) => queueName('queue', value)),
    prefetchCount: integer('prefetchCount', options.prefetchCount, DEFAULTS.prefetchCount, 1, 65_535),
    attempts: attemptsOf(options.retry) ?? DEFAULTS.attempts,
    gracePeriod: integer('gracePeriod', options.gracePeriod, DEFAULTS.gracePeriod, 0, 3_600_000),
    requestTimeoutMs: requestTimeoutOf('requestTimeout', options.requestTimeout, DEFAULTS.requestTimeoutMs),
    wireFormat: optional(options.wireFormat, 'nestmq', wireFormat),
    wire: normaliseWireOptions(options),
    broker: optional(options.broker, {}, (value) => table('broker', value)),
  };
}

/** A timer can't wait for longer. */
const TIMEOUT_MS_MAX = 24 * 86_400_000;

export function requestTimeoutOf(key: string, value: unknown, fallback: number): number {
  return duration(key, value, fallback, 0, TIMEOUT_MS_MAX);
}

function wireFormat(value: unknown): WireFormat {
  if (value === 'nestmq' || value === 'nest-rmq') return value;
  throw new QueueOptionsException(`'wireFormat' is ${describe(value)}.`, "Give 'nestmq' or 'nest-rmq'.");
}

/** Checks the extras of the handler of `pattern`. Throws QueueOptionsException. */
export function normaliseHandlerOptions(
  pattern: string,
  extras: HandlerOptions,
  defaults: Pick<NormalisedQueueOptions, 'queue' | 'attempts'>,
): { readonly queue: string; readonly attempts: number } {
  const where = `the handler of '${pattern}'`;
  assertKeys(where, extras, HANDLER_KEYS);
  return {
    queue: optional(extras.queue, defaults.queue, (value) => queueName('queue', value)),
    attempts: attemptsOf(extras.retry) ?? defaults.attempts,
  };
}

export function parseUrl(url: unknown): NormalisedQueueOptions['home'] {
  if (typeof url === 'string') {
    if (url.startsWith('file:') && url.length > 'file:'.length) return { directory: fileDirectory(url) };
    if (url.startsWith('memory:')) return { memory: url.slice('memory:'.length) };
  }
  throw new QueueOptionsException(
    `'url' is ${describe(url)}.`,
    "Give 'file:DIR' (as in 'file:./data/mq') to keep messages on the disk, or 'memory:' to keep them in this process.",
  );
}

/** `file:./a` and `file:/a` are paths as they stand; `file:///a` is a URL. */
function fileDirectory(url: string): string {
  const path = url.slice('file:'.length);
  return path.startsWith('//') ? decodeURIComponent(new URL(url).pathname) : path;
}

function attemptsOf(retry: unknown): number | undefined {
  if (retry === undefined) return undefined;
  const options = table('retry', retry);
  assertKeys('retry', options, ['attempts']);
  return integer('retry.attempts', options['attempts'], DEFAULTS.attempts, 1, 1000);
}
