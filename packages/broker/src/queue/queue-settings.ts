/** What happens to a queue that is full: its oldest message goes, or the new one does not come in (rabbitmq.com/docs/maxlength). */
export const OVERFLOWS = ['drop-head', 'reject-publish', 'reject-publish-dlx'] as const;
export type Overflow = (typeof OVERFLOWS)[number];

/** Whether a dead letter that no queue takes is dropped, or kept and sent again (rabbitmq.com/docs/quorum-queues, "Dead Lettering"). */
export const DEAD_LETTER_STRATEGIES = ['at-most-once', 'at-least-once'] as const;
export type DeadLetterStrategy = (typeof DEAD_LETTER_STRATEGIES)[number];

/** Which messages that come back wait (RabbitMQ 4.3, `x-delayed-retry-type`). */
export const DELAYED_RETRY_TYPES = ['disabled', 'all', 'failed', 'returned'] as const;
export type DelayedRetryType = (typeof DELAYED_RETRY_TYPES)[number];

export const QUEUE_TYPES = ['classic', 'quorum'] as const;
export type QueueType = (typeof QUEUE_TYPES)[number];

/** How a queue treats its messages: what its arguments and its policy say together. Undefined is without. */
export interface QueueSettings {
  readonly type: QueueType;
  /** A queue that nobody uses for so long is deleted. Milliseconds. */
  readonly expiresMs?: number | undefined;
  /** Messages are dead after this. Milliseconds. */
  readonly messageTtlMs?: number | undefined;
  /** Ready messages. */
  readonly lengthMax?: number | undefined;
  /** Bytes of the bodies of ready messages. */
  readonly lengthBytesMax?: number | undefined;
  readonly overflow: Overflow;
  readonly deadLetterExchange?: string | undefined;
  /** @default the message's own, and its CC */
  readonly deadLetterRoutingKey?: string | undefined;
  /** Of quorum queues; see {@link keepsLetters}. @default 'at-most-once' */
  readonly deadLetterStrategy?: DeadLetterStrategy | undefined;
  /** Messages have priorities from 0 to this; the higher go first. 0 to 255. */
  readonly priorityMax?: number | undefined;
  readonly singleActiveConsumer: boolean;
  /** A message that was returned more often is dead-lettered. */
  readonly deliveryLimit?: number | undefined;
  readonly delayedRetryType: DelayedRetryType;
  /** A message that comes back waits so long for each of its attempts. Milliseconds. */
  readonly delayedRetryMinMs?: number | undefined;
  /** And no longer than this. Milliseconds. @default no bound */
  readonly delayedRetryMaxMs?: number | undefined;
}

export const PLAIN_QUEUE: QueueSettings = {
  type: 'classic',
  overflow: 'drop-head',
  singleActiveConsumer: false,
  delayedRetryType: 'disabled',
};

/** Dead letters stay until they are taken. Only where nothing pushes them out, as in RabbitMQ: else the strategy has no effect. */
export function keepsLetters({ deadLetterStrategy, overflow, deadLetterExchange }: QueueSettings): boolean {
  return (
    deadLetterStrategy === 'at-least-once' &&
    overflow === 'reject-publish' &&
    deadLetterExchange !== undefined
  );
}
