import type { Clock } from '@nestmq/broker';
import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';
import { headersFor, type Origin, type Progress, propertiesFor } from './address.js';
import { deadLetter } from './dead-letter.js';
import { forwardFitting } from './forward-fitting.js';
import type { QueueHandlers } from './handler-table.js';
import type { Inbox } from './inbox.js';
import type { Outcome } from './outcome.js';
import type { Run, Work } from './work.js';

export interface SettlementInit {
  readonly handlers: QueueHandlers;
  readonly clock: Clock;
  readonly link: () => Link;
  /** To its place. */
  readonly giveBack: (delivery: LinkDelivery) => void;
  /** Undefined: none of the handlers has one. */
  readonly inbox?: Inbox | undefined;
}

/** How outcomes become what a broker is told. */
export class Settlement {
  readonly #init: SettlementInit;

  constructor(init: SettlementInit) {
    this.#init = init;
  }

  /** Resolves when it is durable; a mere ack is not waited for. Rejects when the broker can't; the message stays. */
  settle(work: Work): Promise<void> | undefined {
    const { delivery, runs } = work;
    // Also when the connection is lost, and another copy is on its way.
    const entries = this.#init.inbox?.entriesFor(work) ?? [];
    if (delivery.settled) return undefined;
    if (goesBackWhole(runs)) {
      this.#init.giveBack(delivery);
      return undefined;
    }
    const messages: ForwardedMessage[] = [...entries];
    for (const group of groupsOf(runs)) messages.push(...this.#messagesFor(work, group));
    if (messages.length > 0) return forwardFitting(this.#init.link(), delivery, messages);
    delivery.ack();
    return undefined;
  }

  #messagesFor(
    { delivery, received, runs, progress }: Work,
    group: readonly Run[],
  ): readonly ForwardedMessage[] {
    const [first] = group as [Run];
    const outcome = first.outcome as Outcome;
    // When others have done their part, or go another way, only these see the message again.
    const handlers =
      group.length === runs.length ? progress.handlers : group.map(({ handler }) => handler.id);
    if (outcome.kind === 'done') return [];
    if (outcome.kind === 'dead') return this.#given(delivery, received, handlers, first, outcome);
    const counts = outcome.kind === 'retry' && outcome.counts;
    const delayMs = outcome.kind === 'retry' ? outcome.delayMs : 0;
    const attempts = counts ? first.attempt : first.attempt - 1;
    return [this.again(delivery, received, { attempts, handlers, dueAt: undefined }, delayMs)];
  }

  #given(
    delivery: LinkDelivery,
    origin: Origin,
    handlers: readonly unknown[] | undefined,
    { handler, attempt: attempts }: Run,
    { reason, error }: Outcome & { kind: 'dead' },
  ): readonly ForwardedMessage[] {
    const { deadLetterQueue } = handler.policy;
    if (deadLetterQueue === undefined) return [];
    const { queue } = this.#init.handlers;
    const nowMs = this.#init.clock.now();
    const cause = { queue, deadLetterQueue, reason, error, attempts, nowMs };
    return [deadLetter(delivery, origin, handlers, cause)];
  }

  /** The message on its way to its own queue, for another attempt. */
  again({ message }: LinkDelivery, origin: Origin, progress: Progress, delayMs: number): ForwardedMessage {
    const dueAt = delayMs > 0 ? this.#init.clock.now() + delayMs : undefined;
    const headers = headersFor(message, origin, { ...progress, dueAt });
    const properties = propertiesFor(message, headers);
    return { exchange: '', routingKey: this.#init.handlers.queue, properties, delayMs };
  }
}

/**
 * To its place: when no handler has had it, and when one does so that keeps an order, though others may see it twice.
 */
function goesBackWhole(runs: readonly Run[]): boolean {
  const back = runs.filter(({ outcome }) => outcome?.kind === 'requeue');
  return (
    back.length > 0 &&
    (back.length === runs.length || back.some(({ handler }) => handler.policy.orderingKey !== undefined))
  );
}

/** Runs that go the same way at the same time go in one message. */
function groupsOf(runs: readonly Run[]): Iterable<readonly Run[]> {
  if (runs.length === 1) return [runs];
  const groups = new Map<string, Run[]>();
  for (const run of runs) {
    const key = wayOf(run);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [run]);
    else group.push(run);
  }
  return groups.values();
}

function wayOf({ outcome, handler, attempt }: Run): string {
  switch (outcome?.kind) {
    case 'retry':
      return `retry ${outcome.delayMs} ${outcome.counts} ${attempt}`;
    // Each with its own error.
    case 'dead':
      return `dead ${handler.id}`;
    default:
      return String(outcome?.kind);
  }
}
