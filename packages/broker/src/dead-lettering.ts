import type { Message } from './message/message.js';
import { type Death, deadLetterOf, isCycle } from './message/x-death.js';
import { admit, enqueue } from './queue/admission.js';
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
 * not copied. Where it leads nowhere, or only round in a circle, or all is full, the message is settled: RabbitMQ drops
 * it as silently. Throws STORE_FAILED, with nothing done.
 */
export function moveDeadLetter(
  { store, route }: DeadLettering,
  { queueId, entry, message, death }: Letter,
): void {
  const letter = deadLetterOf(message, death);
  const { sequence, position } = entry;
  const admission = admit(targets(route(letter), letter, death), letter, death.at);
  const { queues, journaled, others, marks } = admission;
  if (queues.length === 0) return store.settle(queueId, sequence, position);
  const from = { queueId, sequence, position, message };
  const appended = store.move(from, letter, journaled, others, marks);
  return enqueue(admission, appended, letter);
}

/** Publishes to the dead-letter exchange what a full queue did not take (`reject-publish-dlx`); throws as a publish does. */
export function publishDeadLetter({ store, route }: DeadLettering, message: Message, death: Death): void {
  const letter = deadLetterOf(message, death);
  const admission = admit(targets(route(letter), letter, death), letter, death.at);
  const { queues, journaled, others, marks } = admission;
  if (queues.length === 0) return;
  enqueue(admission, store.publish(letter, journaled, others, marks), letter);
}

function targets(routed: Iterable<Queue>, letter: Message, { reason }: Death): Queue[] {
  const queues = [...routed];
  return reason === 'rejected' ? queues : queues.filter(({ name }) => !isCycle(letter, name));
}
