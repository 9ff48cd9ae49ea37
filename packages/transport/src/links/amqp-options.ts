import type { ConnectionOptions } from 'node:tls';
import { assertKeys, describe, type Duration, duration, integer, optional, table } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import { type AmqpEndpoint, isAmqpUrl, parseAmqpUrl, printable } from './amqp-url.js';

/**
 * How long to wait between rounds through the hosts.
 *
 * @publicApi
 */
export interface ReconnectOptions {
  /** Before the second try; then twice as long each time, less a random part. 10 ms to 1 h. @default '250ms' */
  readonly minDelay?: Duration;
  /** 10 ms to 1 h. @default '10s' */
  readonly maxDelay?: Duration;
}

/**
 * How to connect to a broker by `amqp:` and `amqps:` URLs, and to publish there.
 *
 * @publicApi
 */
export interface AmqpOptions {
  /** A connection on which nothing comes for twice as long is lost. 1 s to 1 h, whole seconds. @default '15s' */
  readonly heartbeat?: Duration;
  /**
   * How long opening waits for a broker that is away, trying one host after the other again and again.
   * 0 is one try of each host; at most 24 h. @default '30s'
   */
  readonly connectionTimeout?: Duration;
  /** For `amqps:`, as `tls.connect` takes them. @default those of Node.js */
  readonly tls?: ConnectionOptions;
  /** What RabbitMQ shows for the connections. 1 to 200 characters. @default the service's queue */
  readonly connectionName?: string;
  readonly reconnect?: ReconnectOptions;
  /**
   * How long a publish may wait for a broker that is away, and for its confirm; then it fails with
   * QueueUnavailableException. Waiting for a broker that blocks publishers does not count. 1 ms to 24 h. @default '30s'
   */
  readonly publishTimeout?: Duration;
  /**
   * Publishes that may wait at once, beside 50,000 (64 MiB) that are sent and not confirmed; more fail at once.
   * 1 to 1,000,000. @default 10_000
   */
  readonly maxWaiting?: number;
  /** Of queues that are declared; those with priorities are classic, since no other type has them. @default 'quorum' */
  readonly queueType?: 'quorum' | 'classic';
  /** Larger bodies are refused before they are sent. Bytes, 1 to 512 MiB. @default 16 MiB, as RabbitMQ 4 */
  readonly maxMessageSize?: number;
}

export interface NormalisedAmqpOptions {
  /** In the order in which they are tried, at least one. */
  readonly endpoints: readonly AmqpEndpoint[];
  readonly heartbeatSeconds: number;
  readonly connectionTimeoutMs: number;
  readonly tls: ConnectionOptions;
  readonly connectionName: string;
  readonly reconnectMs: { readonly min: number; readonly max: number };
  readonly publishTimeoutMs: number;
  readonly maxWaiting: number;
  readonly queueType: 'quorum' | 'classic';
  readonly maxMessageSize: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 * 1024;

const KEYS = [
  'heartbeat',
  'connectionTimeout',
  'tls',
  'connectionName',
  'reconnect',
  'publishTimeout',
  'maxWaiting',
  'queueType',
  'maxMessageSize',
];

/** Throws QueueOptionsException, which never has the credentials in its message. */
export function normaliseAmqpOptions(
  urls: readonly unknown[],
  given: unknown,
  queue: string,
): NormalisedAmqpOptions {
  const options = optional(given, {}, (value) => table('amqp', value));
  assertKeys('amqp', options, KEYS);
  const heartbeatMs = duration('amqp.heartbeat', options['heartbeat'], 15_000, 1000, HOUR_MS);
  return {
    endpoints: endpointsOf(urls),
    heartbeatSeconds: Math.ceil(heartbeatMs / 1000),
    connectionTimeoutMs: duration('amqp.connectionTimeout', options['connectionTimeout'], 30_000, 0, DAY_MS),
    tls: optional(options['tls'], {}, (value) => table('amqp.tls', value)),
    connectionName: optional(options['connectionName'], queue, connectionName),
    reconnectMs: reconnectMs(options['reconnect']),
    publishTimeoutMs: duration('amqp.publishTimeout', options['publishTimeout'], 30_000, 1, DAY_MS),
    maxWaiting: integer('amqp.maxWaiting', options['maxWaiting'], 10_000, 1, 1_000_000),
    queueType: optional(options['queueType'], 'quorum', queueType),
    maxMessageSize: integer('amqp.maxMessageSize', options['maxMessageSize'], 16 * MIB, 1, 512 * MIB),
  };
}

function endpointsOf(urls: readonly unknown[]): readonly AmqpEndpoint[] {
  return urls.flatMap((url) => {
    if (isAmqpUrl(url)) return parseAmqpUrl(url);
    throw new QueueOptionsException(
      `'urls' has ${printable(url)}.`,
      "Give the AMQP URLs of one cluster's nodes.",
    );
  });
}

function connectionName(value: unknown): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= 200) return value;
  throw new QueueOptionsException(
    `'amqp.connectionName' is ${describe(value)}.`,
    'Give a text of 1 to 200 characters.',
  );
}

function reconnectMs(given: unknown): NormalisedAmqpOptions['reconnectMs'] {
  const options = optional(given, {}, (value) => table('amqp.reconnect', value));
  assertKeys('amqp.reconnect', options, ['minDelay', 'maxDelay']);
  const min = duration('amqp.reconnect.minDelay', options['minDelay'], 250, 10, HOUR_MS);
  return {
    min,
    max: duration('amqp.reconnect.maxDelay', options['maxDelay'], Math.max(min, 10_000), min, HOUR_MS),
  };
}

function queueType(value: unknown): 'quorum' | 'classic' {
  if (value === 'quorum' || value === 'classic') return value;
  throw new QueueOptionsException(`'amqp.queueType' is ${describe(value)}.`, "Give 'quorum' or 'classic'.");
}
