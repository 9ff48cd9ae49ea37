import { assertKeys, describe, table } from '../option-checks.js';
import { QueueOptionsException } from '../queue.exceptions.js';

/**
 * How OpenTelemetry sees messages.
 *
 * @publicApi
 */
export interface TelemetryOptions {
  /**
   * What the spans of a delivery are to the producer's: its children, in one trace; or a trace of their own with a link to
   * it, for messages that wait for long or have many consumers. @default 'child'
   */
  readonly relation?: 'child' | 'link';
}

export interface NormalisedTelemetryOptions {
  /** `if-present`: without @opentelemetry/api there is none, and no error. */
  readonly mode: 'off' | 'if-present' | 'on';
  readonly relation: 'child' | 'link';
}

/** Throws QueueOptionsException for what can't be meant. */
export function telemetryOf(key: string, value: unknown): NormalisedTelemetryOptions {
  if (value === undefined) return { mode: 'if-present', relation: 'child' };
  if (typeof value === 'boolean') return { mode: value ? 'on' : 'off', relation: 'child' };
  const options = table(key, value);
  assertKeys(key, options, ['relation']);
  const { relation = 'child' } = options as TelemetryOptions;
  if (relation === 'child' || relation === 'link') return { mode: 'on', relation };
  throw new QueueOptionsException(`'${key}.relation' is ${describe(relation)}.`, "Give 'child' or 'link'.");
}
