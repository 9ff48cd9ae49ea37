import { forget, storing, unlessThrown } from './admissions.js';
import type { Clock } from './clock.js';
import { DEFAULT_EXCHANGE, type Exchanges } from './exchanges.js';
import { copyKeysOf, withoutBcc } from './message/copy-keys.js';
import { withBody } from './message/encoded-message.js';
import { hasExpiration } from './message/expiration.js';
import type { Message } from './message/message.js';
import { accept, enqueueAll, isRuled } from './queue/acceptance.js';
import type { Target } from './queue/delay-queue.js';
import type { Delivery } from './queue/delivery.js';
import type { ReplyConsumers } from './reply-consumers.js';
import { acceptAll, byDurability, type Onwards, publicationsOf, type Routed } from './routed.js';
import type { Appended, MessageStore } from './store/message-store.js';

/**
 * Where a message went. Not an error: the caller decides what unroutable means. Rejected: a queue is full and does not
 * take it (`x-overflow`); others may have it.
 */
export type PublishOutcome = 'routed' | 'unroutable' | 'rejected';

export interface MessageWayInit {
  readonly store: MessageStore;
  readonly clock: Clock;
  readonly exchanges: Exchanges;
  readonly replies: ReplyConsumers;
  /** What a queue is now that a message was routed to before: the one of its name, if there is one. */
  readonly current: (target: Target) => Target | undefined;
}

/** The way of a message in one virtual host: publish, route, store, enqueue. */
export class MessageWay {
  readonly #init: MessageWayInit;
  /** Where messages go that were routed, and are not published yet. */
  readonly #prepared = new WeakMap<Message, readonly Target[]>();

  constructor(init: MessageWayInit) {
    this.#init = init;
  }

  /**
   * Throws NOT_FOUND for a missing exchange, ACCESS_REFUSED for an internal one, PRECONDITION_FAILED for CC or BCC that
   * are no arrays and for a bad expiration, and what {@link MessageStore.publish} throws.
   */
  publish(message: Message): PublishOutcome {
    const exchange = this.#init.exchanges.forPublishing(message.exchange);
    const copyKeys = copyKeysOf(message);
    const queues = this.#init.exchanges.route(exchange, message, copyKeys);
    const admissions = this.#init.exchanges.takeAdmissions();
    if (queues.size === 0 || copyKeys !== undefined || admissions !== undefined)
      return this.#publish({ message: withoutBcc(message), queues, copyKeys, admissions });
    return this.#store(message, queues);
  }

  /** What goes nowhere, or has more to it than a message and its queues. */
  #publish(routed: Routed): PublishOutcome {
    const { message, queues, admissions } = routed;
    const store = (): PublishOutcome => this.#store(message, queues);
    const outcome = queues.size > 0 ? storing(this.#init.store, admissions, store) : 'unroutable';
    const replied = this.#reply(routed);
    if (outcome !== 'rejected') return replied;
    // Its publisher is told, and publishes it again.
    forget(admissions);
    return outcome;
  }

  #store(message: Message, queues: ReadonlySet<Target>): PublishOutcome {
    if (queues.size > 1) return this.#storeInMany(message, queues);
    // Most messages go to one queue, and nothing is made for that.
    const queue = queues.values().next().value as Target;
    if (queue.isRuled || hasExpiration(message)) return this.#storeByRules(message, queues);
    const { journaled, others } = queue.alone;
    queue.enqueue(this.#init.store.publish(message, journaled, others), message);
    return 'routed';
  }

  #storeInMany(message: Message, queues: ReadonlySet<Target>): PublishOutcome {
    if (isRuled(queues, message)) return this.#storeByRules(message, queues);
    const { journaled, others } = byDurability(queues);
    const appended = this.#init.store.publish(message, journaled, others);
    for (const queue of queues) queue.enqueue(appended, message);
    return 'routed';
  }

  #storeByRules(message: Message, routed: ReadonlySet<Target>): PublishOutcome {
    const { store, clock } = this.#init;
    const acceptance = accept(routed, message, clock.now());
    const { queues, journaled, others, marks, rejecting } = acceptance;
    if (queues.length > 0) enqueueAll(acceptance, store.publish(message, journaled, others, marks), message);
    for (const queue of rejecting) queue.onRejected(message);
    return rejecting.length > 0 ? 'rejected' : 'routed';
  }

  /** Replies go straight to who waits for them; what nobody takes at all was not seen. */
  #reply({ message, queues, copyKeys = [], admissions }: Routed): PublishOutcome {
    const { exchange, routingKey } = message;
    const isTaken =
      exchange === DEFAULT_EXCHANGE && this.#init.replies.deliver([routingKey, ...copyKeys], message);
    if (isTaken || queues.size > 0) return 'routed';
    forget(admissions);
    return 'unroutable';
  }

  /**
   * Routes a message that {@link transact} publishes later: to the queues that are bound now, as far as they are there then; as
   * RabbitMQ. Those of the default exchange, and what deduplication lets through, are routed when they are published.
   * Returns how many queues that are. Throws as {@link publish}, but for a bad expiration.
   */
  prepare(message: Message): number {
    const { queues, admissions } = this.#routed(message);
    forget(admissions);
    if (message.exchange !== DEFAULT_EXCHANGE && admissions === undefined)
      this.#prepared.set(message, [...queues]);
    return queues.size;
  }

  /**
   * Publishes messages and acks deliveries, all or none of it, also after a crash (J2). Deliveries that were settled
   * before are passed over. Throws, with nothing done, what {@link publish} throws, TRANSACTION_TOO_LARGE, and
   * PRECONDITION_FAILED when a queue is full.
   */
  transact(messages: readonly Message[], deliveries: readonly Delivery[]): PublishOutcome[] {
    const { store, clock } = this.#init;
    const routes = this.#routeAll(messages);
    const admissions = routes.flatMap((one) => one.admissions ?? []);
    const accepted = unlessThrown(admissions, () => acceptAll(routes, clock.now()));
    const acked = [...new Set(deliveries)].filter(({ settled }) => !settled);
    const held = acked.map(({ queue, entry }) => ({ queueId: queue.init.id, ...entry }));
    const transact = (): Appended[] => store.transact(publicationsOf(routes, accepted), held);
    const appended = storing(store, admissions.length === 0 ? undefined : admissions, transact);
    for (const delivery of acked) delivery.settleBy(() => {});
    let next = 0;
    return accepted.map((acceptance, i) => {
      const routed = routes[i] as Routed;
      const outcome = this.#reply(routed);
      if (acceptance.queues.length > 0) enqueueAll(acceptance, appended[next++] as Appended, routed.message);
      return outcome;
    });
  }

  #routeAll(messages: readonly Message[]): Routed[] {
    const routes: Routed[] = [];
    try {
      for (const message of messages) routes.push(this.#routed(message));
    } catch (error) {
      for (const { admissions } of routes) forget(admissions);
      throw error;
    }
    return routes;
  }

  #routed(message: Message): Routed {
    const prepared = this.#prepared.get(message);
    if (prepared !== undefined) {
      const queues = new Set(prepared.flatMap((target) => this.#init.current(target) ?? []));
      return { message: withoutBcc(message), queues, copyKeys: copyKeysOf(message), admissions: undefined };
    }
    const exchange = this.#init.exchanges.forPublishing(message.exchange);
    const copyKeys = copyKeysOf(message);
    const queues = this.#init.exchanges.route(exchange, message, copyKeys);
    const admissions = this.#init.exchanges.takeAdmissions();
    return { message: withoutBcc(message), queues, copyKeys, admissions };
  }

  /**
   * The queues of a message that the broker itself sends, such as a dead letter: also through an internal exchange; none
   * when there is no such exchange. Only its routing key and `copyKeys` count. What deduplication lets through counts as
   * seen, unless who sends it forgets it; and not while the store has failed: the message stays where it is, and is sent again.
   */
  onwards(
    envelope: Omit<Message, 'body'>,
    copyKeys?: readonly string[],
    exchange: string = envelope.exchange,
  ): Onwards {
    const queues = this.#init.exchanges.routeFrom(exchange, envelope, copyKeys) ?? [];
    const admissions = this.#init.exchanges.takeAdmissions();
    if (this.#init.store.failure !== undefined) forget(admissions);
    return { queues, admissions };
  }

  /**
   * Settles a delivery by publishing its body under a new envelope, in one step that a crash can't split (J2). When
   * it is unroutable, or the delivery was settled before, nothing happens. CC does not count: it is one message that moves.
   */
  forward(delivery: Delivery, envelope: Omit<Message, 'body'>): PublishOutcome | 'settled' {
    const { store, clock } = this.#init;
    const exchange = this.#init.exchanges.forPublishing(envelope.exchange);
    const routed = this.#init.exchanges.route(exchange, envelope, undefined);
    const admissions = this.#init.exchanges.takeAdmissions();
    const message = withBody(envelope, delivery.message.body);
    const acceptance = accept(routed, message, clock.now());
    const { queues, journaled, others, marks, rejecting } = acceptance;
    const move = (): boolean =>
      delivery.settleBy(({ id: queueId }, { sequence, position }) => {
        const from = { queueId, sequence, position, message: delivery.message };
        enqueueAll(acceptance, store.move(from, message, journaled, others, marks), message);
      });
    if (queues.length > 0 && storing(store, admissions, move)) return 'routed';
    forget(admissions);
    if (queues.length > 0) return 'settled';
    return rejecting.length > 0 ? 'rejected' : 'unroutable';
  }
}
