import { type Admissions, forget } from './admissions.js';
import { BrokerError } from './errors.js';
import { copyKeysOf, withoutBcc } from './message/copy-keys.js';
import { afterDelay } from './message/delay.js';
import type { Message } from './message/message.js';
import { type Death, deadLetterOf, isCycle } from './message/x-death.js';
import { type Acceptance, accept, enqueueAll } from './queue/acceptance.js';
import type { Letter, LetterOutcome } from './queue/dead-letters.js';
import type { Target } from './queue/delay-queue.js';
import type { Onwards } from './routed.js';
import type { MessageStore } from './store/message-store.js';

/** What the virtual host tells those who send messages on. */
export interface Sending {
  readonly store: MessageStore;
  /**
   * Where an exchange, by default the message's own, routes it, by these keys beside its own; nowhere, where there is no
   * such exchange.
   */
  readonly route: (message: Message, copyKeys: readonly string[] | undefined, exchange?: string) => Onwards;
}

/** A message in the queue that it is to leave. */
type Leaving = Pick<Letter, 'queueId' | 'entry' | 'message'>;

/**
 * Moves a message out of its queue, to where the dead-letter exchange leads: one step of the store (J2), and the body is
 * not copied. Where it leads nowhere, or only round in a circle, or all is full, or it can't be a message any more, it is
 * settled: RabbitMQ drops it as silently. One that has to be taken stays instead, and also where only some are full: those that
 * are not have it then. Throws STORE_FAILED or CLOSED, with nothing done.
 */
export function moveDeadLetter(sending: Sending, letter: Letter): LetterOutcome {
  const { death, takenBy } = letter;
  const sent = (): Sent => letterFor(sending, letter.message, death);
  if (takenBy !== undefined) return moveOrKeep(sending, { ...letter, takenBy }, sent);
  moveOn(sending, letter, death.at, sent);
  return 'gone';
}

/**
 * The same for a message that was delayed: it goes where the exchange that has delayed it leads now. That need not be the
 * one that it was published to, which has sent it wherever else it leads before.
 */
export function moveDelayed(sending: Sending, leaving: Leaving, exchange: string, now: number): void {
  moveOn(sending, leaving, now, () => {
    const message = afterDelay(leaving.message);
    const onwards = sending.route(message, copyKeysOf(message), exchange);
    return { message: withoutBcc(message), targets: onwards.queues, admissions: onwards.admissions };
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
    publishTo(store, accept(targets, message, death.at), message);
    return true;
  });
}

interface Sent {
  readonly message: Message;
  readonly targets: Iterable<Target>;
  readonly admissions: Admissions;
}

function letterFor({ route }: Sending, dead: Message, death: Death): Sent {
  const message = deadLetterOf(dead, death);
  const { queues, admissions } = route(message, copyKeysOf(message));
  const routed = [...queues];
  const targets = death.reason === 'rejected' ? routed : routed.filter(({ name }) => !isCycle(message, name));
  return { message, targets, admissions };
}

function moveOn({ store }: Sending, leaving: Leaving, now: number, sent: () => Sent): void {
  const isMoved = unlessRefused(() => {
    const { message, targets } = sent();
    const acceptance = accept(targets, message, now);
    if (acceptance.queues.length === 0) return false;
    move(store, leaving, acceptance, message);
    return true;
  });
  if (!isMoved) settle(store, leaving);
}

/** As RabbitMQ's `at-least-once`: it goes when all have it, and one at least. */
function moveOrKeep(
  { store }: Sending,
  { takenBy, death, ...leaving }: Letter & { readonly takenBy: Set<string> },
  sent: () => Sent,
): LetterOutcome {
  const isGone = unlessRefused(() => {
    const { message, targets, admissions } = sent();
    const left = [...targets].filter(({ name }) => !takenBy.has(name));
    const acceptance = accept(left, message, death.at);
    const { queues, rejecting } = acceptance;
    if (rejecting.length === 0 && queues.length > 0) {
      move(store, leaving, acceptance, message);
      return true;
    }
    if (rejecting.length === 0 && takenBy.size > 0) {
      settle(store, leaving);
      return true;
    }
    // It is sent again, and is no duplicate then.
    forget(admissions);
    publishTo(store, acceptance, message);
    for (const { name } of queues) takenBy.add(name);
    return false;
  });
  return isGone ? 'gone' : 'stays';
}

function move(store: MessageStore, leaving: Leaving, acceptance: Acceptance, message: Message): void {
  const { queueId, entry, message: before } = leaving;
  const { journaled, others, marks } = acceptance;
  const from = { queueId, sequence: entry.sequence, position: entry.position, message: before };
  enqueueAll(acceptance, store.move(from, message, journaled, others, marks), message);
}

function publishTo(store: MessageStore, acceptance: Acceptance, message: Message): void {
  const { queues, journaled, others, marks } = acceptance;
  if (queues.length > 0) enqueueAll(acceptance, store.publish(message, journaled, others, marks), message);
}

function settle(store: MessageStore, { queueId, entry }: Leaving): void {
  store.settle(queueId, entry.sequence, entry.position);
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
