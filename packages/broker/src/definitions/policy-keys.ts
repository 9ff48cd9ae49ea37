import { DEAD_LETTER_STRATEGIES, DELAYED_RETRY_TYPES, OVERFLOWS } from '../queue/queue-settings.js';

/** A setting of policies that the engine gives an effect. */
export interface PolicyKey {
  readonly appliesTo: 'queues' | 'exchanges';
  /** Why the value can't be, if so: `must be a whole number of 0 or more`. */
  fault(value: unknown): string | undefined;
}

/** By name. One that is not here is refused when a policy is set: it would promise what nobody keeps. */
export type PolicyKeys = ReadonlyMap<string, PolicyKey>;

export const POLICY_KEYS: PolicyKeys = new Map<string, PolicyKey>([
  ['message-ttl', ofQueues(wholeFrom(0))],
  ['expires', ofQueues(wholeFrom(1))],
  ['max-length', ofQueues(wholeFrom(0))],
  ['max-length-bytes', ofQueues(wholeFrom(0))],
  ['overflow', ofQueues(oneOf(OVERFLOWS))],
  ['dead-letter-exchange', ofQueues(text)],
  ['dead-letter-routing-key', ofQueues(text)],
  ['dead-letter-strategy', ofQueues(oneOf(DEAD_LETTER_STRATEGIES))],
  ['delivery-limit', ofQueues(wholeFrom(0))],
  ['delayed-retry-type', ofQueues(oneOf(DELAYED_RETRY_TYPES))],
  ['delayed-retry-min', ofQueues(wholeFrom(0))],
  ['delayed-retry-max', ofQueues(wholeFrom(0))],
  ['alternate-exchange', { appliesTo: 'exchanges', fault: text }],
]);

function ofQueues(fault: PolicyKey['fault']): PolicyKey {
  return { appliesTo: 'queues', fault };
}

function wholeFrom(least: number): PolicyKey['fault'] {
  return (value) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= least
      ? undefined
      : `must be a whole number of ${least} or more`;
}

function oneOf(words: readonly string[]): PolicyKey['fault'] {
  return (value) =>
    (words as readonly unknown[]).includes(value) ? undefined : `must be one of ${words.join(', ')}`;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? undefined : 'must be text';
}
