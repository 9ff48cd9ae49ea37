import { BrokerError } from './errors.js';
import type { Message } from './message/message.js';
import { type Death, deadLetterOf, isCycle } from './message/x-death.js';
import { accept, enqueueAll } from './queue/acceptance.js';
import type { Letter } from './queue/dead-letters.js';
import type { Queue } from './queue/queue.js';
import type { MessageStore } from './store/message-store.js';

/** What dead-lettering is told by the virtual host. */
export interface DeadLettering {
  readonly store: MessageStore;
  /** The queues that an exchange routes the message to; none, where there is no such exchange. */
  readonly route: (message: Message) => Iterable<Queue>;
}

/**
 * Moves a message out of its queue, to where the dead-letter exchange leads: one step of the store (J2), and the body is
 * not copied. Where it leads nowhere, or only round in a circle, or all is full, or it can't be a message any more, it is
 * settled: RabbitMQ drops it as silently. Throws STORE_FAILED or CLOSED, with nothing done.
 */
export function moveDeadLetter(
  { store, route }: DeadLettering,
  { queueId, entry, message, death }: Letter,
): void {
  const { sequence, position } = entry;
  const moved = unlessRefused(() => {
    const letter = deadLetterOf(message, death);
    const acceptance = accept(targets(route, letter, death), letter, death.at);
    const { queues, journaled, others, marks } = acceptance;
    if (queues.length === 0) return false;
    const from = { queueId, sequence, position, message };
    enqueueAll(acceptance, store.move(from, letter, journaled, others, marks), letter);
    return true;
  });
  if (!moved) store.settle(queueId, sequence, position);
}

/**
 * Publishes to the dead-letter exchange what a full queue did not take (`reject-publish-dlx`). With a failed store it is
 * gone; its publisher was told that it was not taken.
 */
export function publishDeadLetter({ store, route }: DeadLettering, message: Message, death: Death): void {
  if (store.failure !== undefined) return;
  unlessRefused(() => {
    const letter = deadLetterOf(message, death);
    const acceptance = accept(targets(route, letter, death), letter, death.at);
    const { queues, journaled, others, marks } = acceptance;
    if (queues.length > 0)
      enqueueAll(acceptance, store.publish(letter, journaled, others, marks), letter);
    return true;
  });
}

function targets(route: DeadLettering['route'], letter: Message, { reason }: Death): Queue[] {
  const queues = [...route(letter)];
  return reason === 'rejected' ? queues : queues.filter(({ name }) => !isCycle(letter, name));
}

/** False also for what no store takes: too many queues, a routing key that is too long. */
function unlessRefused(run: () => boolean): boolean {
  try {
    return run();
  } catch (error) {
    const isStores = error instanceof BrokerError && ['STORE_FAILED', 'CLOSED'].includes(error.code);
    if (isStores || !(error instanceof BrokerError)) throw error;
    return false;
  }
}
