import { createRequire } from 'node:module';
import type { Counter, Gauge, Histogram, Metric } from 'prom-client';
import type { QueueMetrics } from './metrics.js';

/**
 * A registry of prom-client, as far as it is needed here.
 *
 * @publicApi
 */
export interface PromRegistry {
  getSingleMetric(name: string): unknown;
  registerMetric(metric: never): void;
}

/**
 * How the metrics are called, and their histograms' buckets.
 *
 * @publicApi
 */
export interface PromMetricsOptions {
  /** What the names of all metrics begin with. @default 'nestmq_' */
  readonly prefix?: string;
  /** The upper bounds of the histograms, in seconds. @default 1 ms to 5 minutes */
  readonly buckets?: readonly number[];
}

type PromClient = typeof import('prom-client');

const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const HANDLER = ['queue', 'pattern'] as const;

/**
 * {@link QueueMetrics} that prom-client's registry exposes to Prometheus; by default its global one. Metrics that are in the
 * registry already are shared, so several modules may use one registry. Labels are names of queues, patterns of handlers
 * and words from fixed lists. Throws when prom-client is not installed.
 *
 * @publicApi
 */
export function promMetrics(register?: PromRegistry, options: PromMetricsOptions = {}): QueueMetrics {
  const make = new Maker(loadPromClient(), register, options);
  const published = make.counter('published_total', 'Messages handed to the broker', ['kind']);
  const confirmed = make.counter('confirmed_total', 'Messages that the broker has confirmed', ['kind']);
  const failures = make.counter('publish_failures_total', 'Messages that were not confirmed', ['kind']);
  const latency = make.histogram('publish_confirm_seconds', 'From publish to confirm', ['kind']);
  const delivered = make.counter('delivered_total', 'Messages that came, each time they came', ['queue']);
  const waited = make.histogram('queue_wait_seconds', 'From publish, or the due time, to delivery', [
    'queue',
  ]);
  const handled = make.counter('handled_total', 'Attempts that ended, by result', [...HANDLER, 'result']);
  const handling = make.histogram('handling_seconds', 'How long handlers took', HANDLER);
  const retried = make.counter('retried_total', 'Attempts that will be followed by another', HANDLER);
  const dead = make.counter('dead_lettered_total', 'Messages that were given up', [...HANDLER, 'reason']);
  const duplicates = make.counter('duplicates_total', 'Messages that a handler had had before', HANDLER);
  const inFlight = make.gauge('in_flight', 'Handlers that are running', HANDLER);
  return {
    published: (kind) => published.inc({ kind }),
    confirmed: (kind, latencyMs) => {
      confirmed.inc({ kind });
      latency.observe({ kind }, latencyMs / 1000);
    },
    publishFailed: (kind) => failures.inc({ kind }),
    delivered: (queue, waitMs) => {
      delivered.inc({ queue });
      if (waitMs !== undefined) waited.observe({ queue }, waitMs / 1000);
    },
    started: (handler) => inFlight.inc(handler),
    ended: (handler, result, durationMs) => {
      inFlight.dec(handler);
      handled.inc({ ...handler, result });
      handling.observe(handler, durationMs / 1000);
      if (result === 'retried') retried.inc(handler);
    },
    deadLettered: (queue, handler, reason) => dead.inc({ queue, pattern: handler?.pattern ?? '', reason }),
    duplicate: (handler) => duplicates.inc(handler),
  };
}

/** Metrics of one registry, by name. */
class Maker {
  readonly #client: PromClient;
  readonly #register: PromRegistry;
  readonly #prefix: string;
  readonly #buckets: number[];

  constructor(client: PromClient, register: PromRegistry | undefined, options: PromMetricsOptions) {
    const { prefix = 'nestmq_', buckets = BUCKETS_SECONDS } = options;
    this.#client = client;
    this.#register = register ?? client.register;
    this.#prefix = prefix;
    this.#buckets = [...buckets];
  }

  counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return this.#shared(
      name,
      (full) => new this.#client.Counter({ name: full, help, labelNames, registers: [] }),
    );
  }

  gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return this.#shared(
      name,
      (full) => new this.#client.Gauge({ name: full, help, labelNames, registers: [] }),
    );
  }

  histogram<L extends string>(name: string, help: string, labelNames: readonly L[]): Histogram<L> {
    const buckets = this.#buckets;
    return this.#shared(
      name,
      (full) => new this.#client.Histogram({ name: full, help, labelNames, buckets, registers: [] }),
    );
  }

  #shared<M extends Metric>(name: string, make: (name: string) => M): M {
    const full = `${this.#prefix}${name}`;
    const known = this.#register.getSingleMetric(full) as M | undefined;
    if (known !== undefined) return known;
    const metric = make(full);
    this.#register.registerMetric(metric as never);
    return metric;
  }
}

/** An optional peer. It is CommonJS, and options are made without waiting. */
function loadPromClient(): PromClient {
  try {
    return createRequire(import.meta.url)('prom-client') as PromClient;
  } catch (cause) {
    throw new Error("promMetrics needs the package 'prom-client': npm install prom-client.", { cause });
  }
}
