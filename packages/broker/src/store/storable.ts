import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';
import type { Message } from '../message/message.js';
import type { Marks, QueueMark } from './message-store.js';

/** Throws MESSAGE_TOO_LARGE or INVALID_MESSAGE for what no store takes. */
export function assertStorable(message: Message, queues: number, marks?: Marks): void {
  if (marks !== undefined) assertMarks(marks);
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

/** Throws INVALID_MESSAGE for what no record can hold. */
export function assertMarks(marks: Marks): void {
  for (const mark of marks) {
    if (mark === undefined || isStorable(mark)) continue;
    throw new BrokerError('INVALID_MESSAGE', `The mark ${JSON.stringify(mark)} can't be stored.`, {
      cure: 'Times are whole milliseconds since 1970, a priority is a whole number from 0 to 255.',
    });
  }
}

function isStorable({ expiresAt, readyAt, priority }: QueueMark): boolean {
  return isWhole(expiresAt) && isWhole(readyAt) && isWhole(priority) && priority <= 255;
}

function isWhole(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
