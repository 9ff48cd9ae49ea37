import { BrokerError } from './errors.js';
import { copyKeysOf, withoutBcc } from './message/copy-keys.js';
import { afterDelay } from './message/delay.js';
import type { Message } from './message/message.js';
import { type Death, deadLetterOf, isCycle } from './message/x-death.js';
import { accept, enqueueAll } from './queue/acceptance.js';
import type { Target } from './queue/delay-queue.js';
import type { Letter } from './queue/queue-rules.js';
import type { MessageStore } from './store/message-store.js';

/** What the virtual host tells those who send messages on. */
export interface Sending {
  readonly store: MessageStore;
  /**
   * Where an exchange, by default the message's own, routes it, by these keys beside its own; nowhere, where there is no
   * such exchange.
   */
  readonly route: (
    message: Message,
    copyKeys: readonly string[] | undefined,
    exchange?: string,
  ) => Iterable<Target>;
}

/** A message in the queue that it is to leave. */
type Leaving = Omit<Letter, 'death'>;

/**
 * Moves a message out of its queue, to where the dead-letter exchange leads: one step of the store (J2), and the body is
 * not copied. Where it leads nowhere, or only round in a circle, or all is full, or it can't be a message any more, it is
 * settled: RabbitMQ drops it as silently. Throws STORE_FAILED or CLOSED, with nothing done.
 */
export function moveDeadLetter(sending: Sending, { death, ...leaving }: Letter): void {
  moveOn(sending, leaving, death.at, () => letterFor(sending, leaving.message, death));
}

/**
 * The same for a message that was delayed: it goes where the exchange that has delayed it leads now. That need not be the
 * one that it was published to, which has sent it wherever else it leads before.
 */
export function moveDelayed(sending: Sending, leaving: Leaving, exchange: string, now: number): void {
  moveOn(sending, leaving, now, () => {
    const message = afterDelay(leaving.message);
    const targets = sending.route(message, copyKeysOf(message), exchange);
    return { message: withoutBcc(message), targets };
  });
}

/**
 * Publishes to the dead-letter exchange what a full queue did not take (`reject-publish-dlx`). With a failed store it is
 * gone; its publisher was told that it was not taken.
 */
export function publishDeadLetter(sending: Sending, rejected: Message, death: Death): void {
  const { store } = sending;
  if (store.failure !== undefined) return;
  unlessRefused(() => {
    const { message, targets } = letterFor(sending, rejected, death);
    const acceptance = accept(targets, message, death.at);
    const { queues, journaled, others, marks } = acceptance;
    if (queues.length > 0) enqueueAll(acceptance, store.publish(message, journaled, others, marks), message);
    return true;
  });
}

interface Sent {
  readonly message: Message;
  readonly targets: Iterable<Target>;
}

function letterFor({ route }: Sending, dead: Message, death: Death): Sent {
  const message = deadLetterOf(dead, death);
  const routed = [...route(message, copyKeysOf(message))];
  const targets = death.reason === 'rejected' ? routed : routed.filter(({ name }) => !isCycle(message, name));
  return { message, targets };
}

function moveOn({ store }: Sending, leaving: Leaving, now: number, sent: () => Sent): void {
  const { queueId, entry, message: before } = leaving;
  const { sequence, position } = entry;
  const isMoved = unlessRefused(() => {
    const { message, targets } = sent();
    const acceptance = accept(targets, message, now);
    const { queues, journaled, others, marks } = acceptance;
    if (queues.length === 0) return false;
    const from = { queueId, sequence, position, message: before };
    enqueueAll(acceptance, store.move(from, message, journaled, others, marks), message);
    return true;
  });
  if (!isMoved) store.settle(queueId, sequence, position);
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
