import { type Clock, type FieldTable, systemClock } from '@nestmq/broker';
import { DEFAULT_RETRY } from './retry-policy.js';
import type { HandlerDefaults } from './handler.options.js';
import type { AmqpOptions } from './links/amqp-options.js';
import type { EmbeddedBrokerOptions } from './links/embedded-brokers.js';
import { type Home, homeOf } from './links/home.js';
import type { LinkFactory } from './links/own-link.js';
import {
  assertKeys,
  duration,
  type Duration,
  flag,
  integer,
  optional,
  queueName,
  requestTimeout,
  table,
} from './option-checks.js';
import { metricsOf, type QueueMetrics } from './observability/metrics.js';
import {
  type NormalisedTelemetryOptions,
  telemetryOf,
  type TelemetryOptions,
} from './observability/telemetry.options.js';
import { QUEUE_WITNESS, type QueueWitness } from './observability/witness.js';
import {
  type NormalisedWireOptions,
  normaliseWireOptions,
  WIRE_KEYS,
  type WireOptions,
} from './wire/wire-options.js';
import { QueueOptionsException } from './queue.exceptions.js';
import { retryPolicyOf, type RetryOptions } from './retry.options.js';

/**
 * Options of a module, a server or a client. Unknown keys, wrong types and numbers out of range throw QueueOptionsException.
 *
 * @publicApi
 */
export interface QueueOptions extends WireOptions {
  /**
   * Where messages live: `file:DIR` on the disk, owned by this process; `memory:` or `memory:NAME` in this process
   * and gone with it; `amqp://USER:PASSWORD@HOST,HOST…/VHOST` or `amqps:` in RabbitMQ, or in a broker of another process.
   */
  readonly url?: string;
  /** Instead of `url`: the AMQP URLs of the nodes of one cluster. */
  readonly urls?: readonly string[];
  /** Instead of `url`: opens a link of another make, see docs/extending.md. */
  readonly link?: LinkFactory;
  /**
   * The service's queue. Instances of a service share it; handlers that name no other get their messages from it.
   * @default 'default'
   */
  readonly queue?: string;
  /**
   * Messages of one queue that may be in handlers at once. Whole number, 1 to 65535. @default 100
   */
  readonly prefetchCount?: number;
  /**
   * How often the process may end, in a crash, with a message in hand until that is dead-lettered: on `file:`; RabbitMQ goes by
   * the queue's `x-delivery-limit`. Whole number, 2 to 1000. @default 20
   */
  readonly deliveryLimit?: number;
  /** What happens when an event's handler fails. */
  readonly retry?: RetryOptions;
  /** Messages are settled before they are handled: what fails, or is under way in a crash, is lost. @default false */
  readonly noAck?: boolean;
  /** `x-` arguments of the service's queues, as a broker takes them. @default none */
  readonly queueOptions?: { readonly arguments?: FieldTable };
  /**
   * How long shutdown waits for running handlers, then their signal aborts and their messages go back.
   * Milliseconds or `'30s'`, up to an hour. @default 10_000
   */
  readonly gracePeriod?: Duration;
  /**
   * How long a `send` waits for its first answer, and then for each next one; 0 is for ever. A record's `timeout` goes
   * first. A {@link Duration} up to 24 days. @default '60s'
   */
  readonly requestTimeout?: Duration;
  /** For the embedded broker; counts for the first who opens it. With an AMQP URL it is checked, and not used but for its `clock`. */
  readonly broker?: EmbeddedBrokerOptions;
  /** For AMQP URLs; with another URL it is checked, and not used. */
  readonly amqp?: AmqpOptions;
  /** Counts and measures messages: `promMetrics()`, or one of your own. @default none, at no cost */
  readonly metrics?: QueueMetrics;
  /**
   * Spans by OpenTelemetry, and their context in the headers of messages. `true` fails without the package
   * @opentelemetry/api. @default on when the package is installed
   */
  readonly telemetry?: boolean | TelemetryOptions;
  /** For tests: sees every message on its way. @internal */
  readonly [QUEUE_WITNESS]?: QueueWitness;
}

export interface NormalisedQueueOptions {
  readonly home: Home;
  /** For handlers that say nothing else. */
  readonly handlers: HandlerDefaults;
  readonly deliveryLimit: number;
  readonly queueArguments: FieldTable;
  readonly gracePeriod: number;
  /** 0 is for ever. */
  readonly requestTimeoutMs: number;
  readonly wire: NormalisedWireOptions;
  readonly broker: EmbeddedBrokerOptions;
  readonly metrics: QueueMetrics | undefined;
  readonly telemetry: NormalisedTelemetryOptions;
  readonly witness: QueueWitness | undefined;
  /** All waiting is by this clock. */
  readonly clock: Clock;
}

const DEFAULTS = {
  queue: 'default',
  prefetchCount: 100,
  deliveryLimit: 20,
  gracePeriod: 10_000,
  requestTimeoutMs: 60_000,
} as const;

const KEYS = [
  'url',
  'urls',
  'link',
  'queue',
  'prefetchCount',
  'deliveryLimit',
  'retry',
  'noAck',
  'queueOptions',
  'gracePeriod',
  'requestTimeout',
  ...WIRE_KEYS,
  'broker',
  'amqp',
  'metrics',
  'telemetry',
];

/** Fills in the defaults. Throws QueueOptionsException for an unknown key, a wrong type or a number out of range. */
export function normaliseQueueOptions(options: QueueOptions): NormalisedQueueOptions {
  assertKeys('QueueModule', options, KEYS);
  const broker = optional(options.broker, {}, embeddedBroker);
  const queue = optional(options.queue, DEFAULTS.queue, (value) => queueName('queue', value));
  return {
    home: homeOf(options, queue),
    handlers: {
      queue,
      prefetchCount: integer('prefetchCount', options.prefetchCount, DEFAULTS.prefetchCount, 1, 65_535),
      retry: retryPolicyOf('retry', options.retry, DEFAULT_RETRY),
      noAck: flag('noAck', options.noAck, false),
    },
    deliveryLimit: integer('deliveryLimit', options.deliveryLimit, DEFAULTS.deliveryLimit, 2, 1000),
    queueArguments: queueArguments(options.queueOptions),
    gracePeriod: duration('gracePeriod', options.gracePeriod, DEFAULTS.gracePeriod, 0, 3_600_000),
    requestTimeoutMs: requestTimeout('requestTimeout', options.requestTimeout, DEFAULTS.requestTimeoutMs),
    wire: normaliseWireOptions(options),
    broker,
    metrics: options.metrics === undefined ? undefined : metricsOf('metrics', options.metrics),
    telemetry: telemetryOf('telemetry', options.telemetry),
    witness: options[QUEUE_WITNESS],
    clock: broker.clock ?? systemClock,
  };
}

/** The broker checks the others itself, when it is opened. */
function embeddedBroker(value: unknown): EmbeddedBrokerOptions {
  const broker = table('broker', value);
  if (!('directory' in broker)) return broker;
  throw new QueueOptionsException(
    "'broker.directory' is not for this option to say.",
    "The url says it: 'file:DIR'.",
  );
}

function queueArguments(options: unknown): FieldTable {
  if (options === undefined) return {};
  const queueOptions = table('queueOptions', options);
  assertKeys('queueOptions', queueOptions, ['arguments']);
  return optional(
    queueOptions['arguments'] as FieldTable,
    {},
    (value) => table('queueOptions.arguments', value) as FieldTable,
  );
}
