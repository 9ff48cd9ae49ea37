import type { Admissions } from './admissions.js';
import type { Message } from './message/message.js';
import type { Queue, RouteByDurability } from './queue/queue.js';
import type { Publication } from './store/message-store.js';

/** A message on its way, and where it goes. */
export interface Routed {
  readonly message: Message;
  readonly queues: ReadonlySet<Queue>;
  readonly copyKeys: readonly string[] | undefined;
  readonly admissions: Admissions;
}

/** As the store wants to know a message's queues. */
export function byDurability(queues: ReadonlySet<Queue>): RouteByDurability {
  if (queues.size === 1) return (queues.values().next().value as Queue).alone;
  const journaled: number[] = [];
  for (const { init } of queues) if (init.durable) journaled.push(init.id);
  return { journaled, others: queues.size - journaled.length };
}

/** What the store gets of them: those that go to a queue. */
export function publicationsOf(routes: readonly Routed[]): Publication[] {
  return routes.flatMap(({ message, queues }) => {
    if (queues.size === 0) return [];
    const { journaled, others } = byDurability(queues);
    return [{ message, journaledQueueIds: journaled, otherQueues: others }];
  });
}
