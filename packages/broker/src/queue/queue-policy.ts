import {
  DEAD_LETTER_STRATEGIES,
  DELAYED_RETRY_TYPES,
  OVERFLOWS,
  type QueueSettings,
} from './queue-settings.js';

/** A policy's definition, as `rabbitmqctl set_policy` takes it: `{"message-ttl": 1000}`. */
export type PolicyDefinition = Readonly<Record<string, unknown>>;

/** Keys that mean something to a queue. Who stores policies checks the others. */
export const QUEUE_POLICY_KEYS = [
  'message-ttl',
  'expires',
  'max-length',
  'max-length-bytes',
  'overflow',
  'dead-letter-exchange',
  'dead-letter-routing-key',
  'dead-letter-strategy',
  'delivery-limit',
  'delayed-retry-type',
  'delayed-retry-min',
  'delayed-retry-max',
] as const;
type Key = (typeof QUEUE_POLICY_KEYS)[number];

/**
 * A queue's settings under a policy (rabbitmq.com/docs/policies): of two limits the lower one counts, else the
 * argument, but for a quorum queue's overflow, where the policy does. What only the other type of queue has is passed
 * over, as are values of the wrong type.
 */
export function settingsUnder(policy: PolicyDefinition | undefined, own: QueueSettings): QueueSettings {
  if (policy === undefined) return own;
  const number = (key: Key): number | undefined => {
    const value = policy[key];
    return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : undefined;
  };
  const text = (key: Key): string | undefined => {
    const value = policy[key];
    return typeof value === 'string' ? value : undefined;
  };
  const isQuorum = own.type === 'quorum';
  return {
    ...own,
    expiresMs: lower(own.expiresMs, number('expires') || undefined),
    messageTtlMs: lower(own.messageTtlMs, number('message-ttl')),
    lengthMax: lower(own.lengthMax, number('max-length')),
    lengthBytesMax: lower(own.lengthBytesMax, number('max-length-bytes')),
    overflow: overflowUnder(text('overflow'), own),
    deadLetterExchange: own.deadLetterExchange ?? text('dead-letter-exchange'),
    deadLetterRoutingKey: own.deadLetterRoutingKey ?? text('dead-letter-routing-key'),
    ...(isQuorum && {
      deadLetterStrategy:
        own.deadLetterStrategy ?? oneOf(DEAD_LETTER_STRATEGIES, text('dead-letter-strategy')),
    }),
    ...(isQuorum && { deliveryLimit: lower(own.deliveryLimit, number('delivery-limit')) }),
    ...(isQuorum &&
      own.delayedRetryMinMs === undefined && {
        delayedRetryType: oneOf(DELAYED_RETRY_TYPES, text('delayed-retry-type')) ?? own.delayedRetryType,
        delayedRetryMinMs: number('delayed-retry-min'),
        delayedRetryMaxMs: own.delayedRetryMaxMs ?? number('delayed-retry-max'),
      }),
  };
}

function lower(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}

/** An argument that says drop-head and none at all are the same. */
function overflowUnder(word: string | undefined, own: QueueSettings): QueueSettings['overflow'] {
  const policy = oneOf(OVERFLOWS, word);
  if (policy === undefined) return own.overflow;
  return own.type === 'quorum' || own.overflow === 'drop-head' ? policy : own.overflow;
}

function oneOf<T extends string>(words: readonly T[], word: string | undefined): T | undefined {
  return words.find((one) => one === word);
}
