import type { Clock } from '@nestmq/broker';
import type { Home } from '../links/home.js';
import { loadTracing } from './load-tracing.js';
import { guarded, type QueueMetrics } from './metrics.js';
import type { NormalisedTelemetryOptions } from './telemetry.options.js';
import type { Tracing } from './tracing.js';
import type { QueueWitness } from './witness.js';

/** What looks on as messages go their way. */
export interface Observers {
  readonly metrics: QueueMetrics | undefined;
  readonly tracing: Tracing | undefined;
  readonly witness: QueueWitness | undefined;
  readonly clock: Clock;
}

export interface ObserversOptions {
  readonly metrics: QueueMetrics | undefined;
  readonly telemetry: NormalisedTelemetryOptions;
  readonly home: Home;
  readonly clock: Clock;
  readonly witness: QueueWitness | undefined;
}

/** What the options ask for. Rejects with QueueOptionsException when a package for it is missing. */
export async function loadObservers(
  { metrics, telemetry, home, clock, witness }: ObserversOptions,
  report: (error: unknown) => void,
): Promise<Observers> {
  return {
    metrics: metrics === undefined ? undefined : guarded(metrics, report),
    tracing: await loadTracing(telemetry, home),
    witness,
    clock,
  };
}
