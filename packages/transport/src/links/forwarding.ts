import type { Message, PublishOutcome } from '@nestmq/broker';

/** Throws, in the same words on every link, when what a delivery was to be settled by was not taken. */
export function assertForwarded(
  { exchange, routingKey }: Pick<Message, 'exchange' | 'routingKey'>,
  outcome: PublishOutcome | 'settled',
): void {
  if (outcome === 'rejected') {
    throw new Error(
      `A queue that '${exchange}' leads to for '${routingKey}' is full, so the message stays where it is.`,
    );
  }
  if (outcome === 'unroutable') {
    throw new Error(
      `Nothing is bound to '${exchange}' for '${routingKey}', so the message stays where it is. Restart the service: it declares its queues anew.`,
    );
  }
}
