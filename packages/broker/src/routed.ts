import type { Admissions } from './admissions.js';
import type { Message } from './message/message.js';
import { type Acceptance, accept } from './queue/acceptance.js';
import type { Target } from './queue/delay-queue.js';
import type { RouteByDurability } from './queue/queue.js';
import type { Publication } from './store/message-store.js';

/** A message on its way, and where it goes. */
export interface Routed {
  readonly message: Message;
  readonly queues: ReadonlySet<Target>;
  readonly copyKeys: readonly string[] | undefined;
  readonly admissions: Admissions;
}

/** As the store wants to know a message's queues. */
export function byDurability(queues: ReadonlySet<Target>): RouteByDurability {
  if (queues.size === 1) return (queues.values().next().value as Target).alone;
  const journaled: number[] = [];
  for (const { init } of queues) if (init.durable) journaled.push(init.id);
  return { journaled, others: queues.size - journaled.length };
}

/** Which of them take it. Throws PRECONDITION_FAILED for a bad expiration. */
export function acceptanceOf({ queues, message }: Routed, now: number): Acceptance {
  return accept(queues, message, now);
}

/** What the store gets of them: those that a queue takes. */
export function publicationsOf(routes: readonly Routed[], accepted: readonly Acceptance[]): Publication[] {
  return accepted.flatMap(({ queues, journaled, others, marks }, i) => {
    const { message } = routes[i] as Routed;
    return queues.length === 0 ? [] : [{ message, journaledQueueIds: journaled, otherQueues: others, marks }];
  });
}
