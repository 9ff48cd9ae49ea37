import type { Clock } from '@nestmq/broker';
import type { ForwardedMessage, Link, LinkDelivery } from '../links/link.js';
import { type Address, headersFor } from './address.js';
import { deadLetter } from './dead-letter.js';
import type { QueueHandlers } from './handler-table.js';
import type { Outcome } from './outcome.js';
import type { Run } from './work.js';

export interface SettlementInit {
  readonly handlers: QueueHandlers;
  readonly clock: Clock;
  readonly link: () => Link;
}

/** How outcomes become what a broker is told. */
export class Settlement {
  readonly #init: SettlementInit;

  constructor(init: SettlementInit) {
    this.#init = init;
  }

  /** Resolves when it is durable; a mere ack is not waited for. Rejects when the broker can't; the message stays. */
  settle(delivery: LinkDelivery, address: Address, runs: readonly Run[]): Promise<void> | void {
    if (delivery.settled) return undefined;
    const [only] = runs;
    if (runs.length === 1 && only?.outcome?.kind === 'requeue') {
      delivery.requeue({ failed: false });
      return undefined;
    }
    const messages: ForwardedMessage[] = [];
    for (const group of groupsOf(runs)) messages.push(...this.#messagesFor(delivery, address, group, runs));
    if (messages.length > 0) return this.#init.link().forward(delivery, messages);
    delivery.ack();
    return undefined;
  }

  #messagesFor(
    delivery: LinkDelivery,
    address: Address,
    group: readonly Run[],
    all: readonly Run[],
  ): readonly ForwardedMessage[] {
    const [first] = group as [Run];
    const outcome = first.outcome as Outcome;
    // When others have done their part, or go another way, only these see the message again.
    const handlers = group.length === all.length ? address.handlers : group.map(({ handler }) => handler.id);
    if (outcome.kind === 'done') return [];
    if (outcome.kind === 'dead') return this.#given(delivery, { ...address, handlers }, first, outcome);
    const { attempt } = first;
    const counts = outcome.kind === 'retry' && outcome.counts;
    const delayMs = outcome.kind === 'retry' ? outcome.delayMs : 0;
    return [
      this.again(delivery, { ...address, handlers, attempts: counts ? attempt : attempt - 1 }, delayMs),
    ];
  }

  #given(
    delivery: LinkDelivery,
    address: Address,
    { handler, attempt }: Run,
    { reason, error }: Outcome & { kind: 'dead' },
  ): readonly ForwardedMessage[] {
    const { deadLetterQueue } = handler.policy;
    if (deadLetterQueue === undefined) return [];
    const { queue } = this.#init.handlers;
    const nowMs = this.#init.clock.now();
    return [
      deadLetter(delivery, address, { queue, deadLetterQueue, reason, error, attempts: attempt, nowMs }),
    ];
  }

  /** The message on its way to its own queue, for another attempt. */
  again({ message }: LinkDelivery, address: Address, delayMs: number): ForwardedMessage {
    const dueAt = delayMs > 0 ? this.#init.clock.now() + delayMs : undefined;
    const headers = headersFor(message, { ...address, dueAt });
    const properties = { ...message.properties, headers };
    return { exchange: '', routingKey: this.#init.handlers.queue, properties, delayMs };
  }
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
