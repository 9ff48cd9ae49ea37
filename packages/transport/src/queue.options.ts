import { type AmqpOptions, normaliseAmqpOptions, type NormalisedAmqpOptions } from './links/amqp-options.js';
import { isAmqpUrl } from './links/amqp-url.js';
import type { EmbeddedBrokerOptions } from './links/embedded-brokers.js';
import { assertKeys, describe, integer, optional, queueName, table } from './option-checks.js';
import { QueueOptionsException } from './queue.exceptions.js';

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
export interface QueueOptions {
  /**
   * Where messages live: `file:DIR` on the disk, owned by this process; `memory:` or `memory:NAME` in this process
   * and gone with it; `amqp://USER:PASSWORD@HOST,HOST…/VHOST` or `amqps:` in RabbitMQ, or in a broker of another process.
   */
  readonly url?: string;
  /** Instead of `url`: the AMQP URLs of the nodes of one cluster. */
  readonly urls?: readonly string[];
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
  /** For the embedded broker; counts for the first who opens it. */
  readonly broker?: EmbeddedBrokerOptions;
  /** For AMQP URLs. */
  readonly amqp?: AmqpOptions;
}

/** Where messages live. */
export type Home =
  { readonly memory: string } | { readonly directory: string } | { readonly amqp: NormalisedAmqpOptions };

export interface NormalisedQueueOptions {
  readonly home: Home;
  readonly queue: string;
  readonly prefetchCount: number;
  readonly attempts: number;
  readonly gracePeriod: number;
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

const DEFAULTS = { queue: 'default', prefetchCount: 100, attempts: 5, gracePeriod: 10_000 } as const;

const KEYS = ['url', 'urls', 'queue', 'prefetchCount', 'retry', 'gracePeriod', 'broker', 'amqp'];
const HANDLER_KEYS = ['queue', 'retry'];

/** Fills in the defaults. Throws QueueOptionsException for an unknown key, a wrong type or a number out of range. */
export function normaliseQueueOptions(options: QueueOptions): NormalisedQueueOptions {
  assertKeys('QueueModule', options, KEYS);
  const queue = optional(options.queue, DEFAULTS.queue, (value) => queueName('queue', value));
  return {
    home: homeOf(options, queue),
    queue,
    prefetchCount: integer('prefetchCount', options.prefetchCount, DEFAULTS.prefetchCount, 1, 65_535),
    attempts: attemptsOf(options.retry) ?? DEFAULTS.attempts,
    gracePeriod: integer('gracePeriod', options.gracePeriod, DEFAULTS.gracePeriod, 0, 3_600_000),
    broker: optional(options.broker, {}, (value) => table('broker', value)),
  };
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

function homeOf({ url, urls, amqp }: QueueOptions, queue: string): Home {
  if (urls !== undefined) {
    if (url === undefined && Array.isArray(urls) && urls.length > 0)
      return { amqp: normaliseAmqpOptions(urls, amqp, queue) };
    throw new QueueOptionsException("'urls' is no list, or there is 'url' as well.", 'Give one of the two.');
  }
  if (isAmqpUrl(url)) return { amqp: normaliseAmqpOptions([url], amqp, queue) };
  if (amqp === undefined) return parseUrl(url);
  throw new QueueOptionsException(
    "There is 'amqp', but no AMQP URL.",
    "Give 'url' as 'amqp://HOST', or leave it out.",
  );
}

function parseUrl(url: unknown): Home {
  if (typeof url === 'string') {
    if (url.startsWith('file:') && url.length > 'file:'.length) return { directory: fileDirectory(url) };
    if (url.startsWith('memory:')) return { memory: url.slice('memory:'.length) };
  }
  throw new QueueOptionsException(
    `'url' is ${describe(url)}.`,
    "Give 'file:DIR' (as in 'file:./data/mq') to keep messages on the disk, 'memory:' to keep them in this process, or 'amqp://HOST' for RabbitMQ.",
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
