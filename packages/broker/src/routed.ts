import type { Admissions } from './admissions.js';
import { channelError } from './errors.js';
import type { Message } from './message/message.js';
import { type Acceptance, accept, type Ahead, NOTHING_AHEAD } from './queue/acceptance.js';
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

/** Where a message that the broker itself sends goes. */
export interface Onwards {
  readonly queues: Iterable<Target>;
  readonly admissions: Admissions;
}

/** As the store wants to know a message's queues. */
export function byDurability(queues: ReadonlySet<Target>): RouteByDurability {
  if (queues.size === 1) return (queues.values().next().value as Target).alone;
  const journaled: number[] = [];
  for (const { init } of queues) if (init.durable) journaled.push(init.id);
  return { journaled, others: queues.size - journaled.length };
}

/**
 * Which queues take the messages, each seen behind those before it. All of them do: what is all or nothing is nothing
 * where a queue is full. Throws PRECONDITION_FAILED then, in RabbitMQ's words, and for a bad expiration.
 */
export function acceptAll(routes: readonly Routed[], now: number): Acceptance[] {
  const ahead = new Map<Target, Ahead>();
  return routes.map(({ queues, message }) => {
    const acceptance = accept(queues, message, now, ahead);
    if (acceptance.rejecting.length > 0) throw channelError('PRECONDITION_FAILED', 'partial tx completion');
    for (const queue of queues) {
      const { count, bytes } = ahead.get(queue) ?? NOTHING_AHEAD;
      ahead.set(queue, { count: count + 1, bytes: bytes + message.body.length });
    }
    return acceptance;
  });
}

/** What the store gets of them: those that a queue takes. */
export function publicationsOf(routes: readonly Routed[], accepted: readonly Acceptance[]): Publication[] {
  return accepted.flatMap(({ queues, journaled, others, marks }, i) => {
    const { message } = routes[i] as Routed;
    return queues.length === 0 ? [] : [{ message, journaledQueueIds: journaled, otherQueues: others, marks }];
  });
}
