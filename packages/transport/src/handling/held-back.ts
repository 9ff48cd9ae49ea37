import type { QueueWitness } from '../observability/witness.js';
import type { QueueHandlers } from './handler-table.js';
import { orderingKeyOf } from './lanes/ordering-key.js';
import type { Run, Work } from './work.js';

/** Until when a witness wants the handlers of a message to wait; undefined: they begin. */
export function heldBack(
  witness: QueueWitness | undefined,
  { queue, prefetchCount }: QueueHandlers,
  { received, delivery, runs }: Work,
): Promise<void> | undefined {
  if (witness === undefined) return undefined;
  const { pattern, kind, data } = received;
  const { message } = delivery;
  const orderingKeys = runs.map(keyOf).filter((key) => key !== undefined);
  return witness.arrived({ queue, pattern, kind, data, message, prefetchCount, orderingKeys });
}

function keyOf(run: Run): string | undefined {
  try {
    return orderingKeyOf(run, run.handler.policy.orderingKey);
  } catch {
    // Its turn tells: what has no key that can be found out is dead-lettered then.
    return undefined;
  }
}
