import type { Queue } from './queue.js';

/** A queue as it is now, for those who ask. */
export interface QueueState {
  readonly name: string;
  /** Messages that wait for a consumer; not those delivered and unsettled. */
  readonly messageCount: number;
  /** Messages that were delivered and are not settled yet. */
  readonly unsettledCount: number;
  readonly consumerCount: number;
  /** Why the queue stands still, if so: its next message can't be read. It is tried again now and then. */
  readonly readFailure?: string;
}

export function stateOf(queue: Queue): QueueState {
  return {
    name: queue.name,
    messageCount: queue.readyCount,
    unsettledCount: queue.unsettledCount,
    consumerCount: queue.consumerCount,
    ...(queue.readFailure === undefined ? {} : { readFailure: queue.readFailure }),
  };
}
