import type { DeadLetterReason } from '../envelope.js';
import { describe, table } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';

/**
 * What a client sends: `emit` or `send`.
 *
 * @publicApi
 */
export type MessageKind = 'event' | 'request';

/**
 * Which handler: what its decorator says, never what a message says, so that there is a bounded number of them.
 *
 * @publicApi
 */
export interface HandlerLabels {
  readonly queue: string;
  /** The handler's own pattern, with its wildcards. */
  readonly pattern: string;
}

/**
 * How one attempt of a handler ended. `handled`: well. `failed`: a request that was answered with an error. `retried`: there
 * will be another attempt. `dead-lettered`: given up. `discarded`: given up, and gone, by `deadLetter: false` or `noAck`.
 * `requeued`: given back by hand.
 *
 * @publicApi
 */
export type HandlingResult = 'handled' | 'failed' | 'retried' | 'dead-lettered' | 'discarded' | 'requeued';

/**
 * What is counted and measured; see `promMetrics` for one that Prometheus reads. All of it is called while messages are on
 * their way, so it should be quick; what it throws is logged and changes nothing. Times are in milliseconds.
 *
 * @publicApi
 */
export interface QueueMetrics {
  /** A client hands a message to the broker. */
  published(kind: MessageKind): void;
  /** The broker has confirmed it, `latencyMs` later. */
  confirmed(kind: MessageKind, latencyMs: number): void;
  /** It was not confirmed: the broker is away, takes none, has no place for it, or has failed. */
  publishFailed(kind: MessageKind): void;
  /**
   * A message came. `waitMs`: how long after it was published, or after it was due; undefined for one that comes again,
   * or whose producer did not say when. Producers say it in whole seconds, of their own clocks.
   */
  delivered(queue: string, waitMs: number | undefined): void;
  /** A handler begins: one more is in flight. */
  started(handler: HandlerLabels): void;
  /** It has ended: one less is in flight. */
  ended(handler: HandlerLabels, result: HandlingResult, durationMs: number): void;
  /** A message was given up; `handler` is undefined when none had it. */
  deadLettered(queue: string, handler: HandlerLabels | undefined, reason: DeadLetterReason): void;
  /** A handler with deduplication has had this message before, so it did not get it again. */
  duplicate(handler: HandlerLabels): void;
}

const METHODS: readonly (keyof QueueMetrics)[] = [
  'published',
  'confirmed',
  'publishFailed',
  'delivered',
  'started',
  'ended',
  'deadLettered',
  'duplicate',
];

/** The option `metrics`. Throws QueueOptionsException for what lacks a method. */
export function metricsOf(key: string, value: unknown): QueueMetrics {
  const metrics = table(key, value);
  for (const method of METHODS) {
    if (typeof metrics[method] === 'function') continue;
    throw new QueueOptionsException(
      `'${key}.${method}' is ${describe(metrics[method])}.`,
      'Give all methods of QueueMetrics, such as promMetrics(register) has them.',
    );
  }
  return metrics as unknown as QueueMetrics;
}

/** The same metrics, which never throw: what they throw is reported. */
export function guarded(metrics: QueueMetrics, report: (error: unknown) => void): QueueMetrics {
  const safe: Partial<Record<keyof QueueMetrics, (...args: never[]) => void>> = {};
  for (const method of METHODS) {
    const call: (...args: never[]) => void = metrics[method].bind(metrics);
    safe[method] = (...args) => {
      try {
        call(...args);
      } catch (error) {
        report(error);
      }
    };
  }
  return safe as unknown as QueueMetrics;
}
