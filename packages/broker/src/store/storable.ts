import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';

/** Throws MESSAGE_TOO_LARGE or INVALID_MESSAGE for what no store takes. */
export function assertStorable(message: Message, queues: number): void {
  if (message.body.length > LIMITS.bodyBytesMax) {
    throw new BrokerError(
      'MESSAGE_TOO_LARGE',
      `A body of ${message.body.length} bytes is over the limit of ${LIMITS.bodyBytesMax}.`,
      { cure: 'Put the data elsewhere and send a reference to it.' },
    );
  }
  if (queues > LIMITS.queuesPerMessageMax) {
    throw new BrokerError(
      'INVALID_MESSAGE',
      `The message is routed to ${queues} queues; the limit is ${LIMITS.queuesPerMessageMax}.`,
      { cure: 'Bind fewer queues to it.' },
    );
  }
}
