import {
  type DefinitionKey,
  encodeKey,
  type ExchangeDefinition,
  type ExchangeType,
  type QueueDefinition,
} from './definitions/definitions.js';
import { type BindingInit, type ExchangeOptions, Exchanges, type ExchangesEnvironment } from './exchanges.js';
import type { Exchange } from './exchange.js';
import { Policies, type PolicySubject } from './definitions/policies.js';
import { DelayQueues } from './delay-queues.js';
import type { FieldTable, Message } from './message/message.js';
import { MessageWay, type PublishOutcome } from './message-way.js';
import type { Onwards } from './routed.js';
import type { QueueIds } from './queue/queue-ids.js';
import type { Delivery } from './queue/delivery.js';
import { Queue, type QueueEnvironment } from './queue/queue.js';
import { type QueueState, stateOf } from './queue/queue-state.js';
import { assertEquivalentArguments } from './queue/queue-arguments.js';
import { definitionOf, initOf, restoredInitOf } from './queue-definitions.js';
import {
  assertEquivalent,
  assertNotReserved,
  assertShortString,
  generatedName,
  locked,
  notFound,
  preconditionFailed,
} from './refusals.js';
import { ReplyConsumers } from './reply-consumers.js';
import { moveDeadLetter, publishDeadLetter, type Sending } from './sending-on.js';
import type { Turn } from './turns.js';

/** Of {@link Connection.declareQueue}. Declared again it must be the same (PRECONDITION_FAILED). */
export interface QueueOptions {
  /** Survives a restart, and so do the persistent messages in it. @default true */
  readonly durable?: boolean;
  /** Only for the declaring connection, and deleted with it. Not durable, whatever `durable` says. @default false */
  readonly exclusive?: boolean;
  /** Deleted when its last consumer goes, after it had one. @default false */
  readonly autoDelete?: boolean;
  /**
   * `x-message-ttl` and the like, with RabbitMQ's names and meaning (rabbitmq.com/docs/queues, "Optional Arguments"). A
   * buffer is a field table as it is on the wire, its length first: so that integers keep their type. @default none
   */
  readonly arguments?: FieldTable | Buffer;
  /** @internal Of definitions: a name that a server has given may come back. */
  readonly mayBeReserved?: boolean;
}

/** What `deleteExchange` and `deleteQueue` are to refuse. */
export interface DeleteOptions {
  /** It has a consumer; an exchange, a binding. @default false */
  readonly ifUnused?: boolean;
  /** It has a ready message. @default false */
  readonly ifEmpty?: boolean;
}

/** What a virtual host is told by the layers above. */
export interface VhostEnvironment
  extends
    Pick<QueueEnvironment, 'store' | 'clock' | 'later' | 'onReadFailure'>,
    Omit<ExchangesEnvironment, 'delayQueues'> {
  /** Of all vhosts of a broker. */
  readonly ids: QueueIds;
  /** Gives a turn soon, after what is ready to run now. */
  readonly schedule: (turn: Turn) => void;
}

/**
 * Exchanges, queues and bindings of one virtual host; the way of its messages is in {@link MessageWay}.
 *
 * Definitions take effect at once and go into the same journal as messages, before any message that needs them: so a
 * confirm can't come before they are durable (J1).
 */
export class Vhost {
  readonly #environment: QueueEnvironment & VhostEnvironment;
  readonly #exchanges: Exchanges;
  readonly #delayQueues: DelayQueues;
  readonly replies: ReplyConsumers;
  readonly #way: MessageWay;
  readonly #queues = new Map<string, Queue>();
  /** Told, once each, when messages may go another way. */
  readonly #awaitingRoutes = new Set<() => void>();
  #policies = new Policies([], []);

  constructor(
    readonly name: string,
    environment: VhostEnvironment,
  ) {
    const sending: Sending = {
      store: environment.store,
      route: (message, copyKeys, exchange) => this.onwards(message, copyKeys, exchange),
    };
    this.#environment = {
      ...environment,
      deadLetter: (letter) => moveDeadLetter(sending, letter),
      deadLetterRejected: (message, death) => publishDeadLetter(sending, message, death),
      awaitRoutes: (tell) => this.#awaitingRoutes.add(tell),
      onUnused: (queue) => this.#removeUnused(queue),
      onIdle: (queue) => this.#removeUnused(queue),
      onForgotten: (queue) => environment.ids.forget(queue),
    };
    this.#delayQueues = new DelayQueues({ vhost: name, environment, sending });
    this.#exchanges = new Exchanges(name, { ...environment, delayQueues: this.#delayQueues });
    this.replies = new ReplyConsumers(environment.schedule);
    const { store, clock } = environment;
    this.#way = new MessageWay({
      store,
      clock,
      exchanges: this.#exchanges,
      replies: this.replies,
      current: (target) => (this.#delayQueues.has(target) ? target : this.#queues.get(target.name)),
    });
  }

  /** Rebuilds what the store had, of definitions of all vhosts. Throws JOURNAL_DAMAGED when some are missing. */
  restore(definitions: readonly (readonly [DefinitionKey, unknown])[]): void {
    const own = definitions.filter(([key]) => key[1] === this.name);
    for (const [key, value] of own) if (key[0] === 'queue') this.#knowDelays(value as QueueDefinition);
    for (const [key, value] of own) {
      if (key[0] === 'exchange') this.#exchanges.restore(key[2], value as ExchangeDefinition);
      if (key[0] === 'queue') this.#restoreQueue(key[2], value as QueueDefinition);
    }
    for (const [key] of own) {
      if (key[0] === 'binding' || key[0] === 'exchange-binding')
        this.#exchanges.restoreBinding(key, this.#queues.get(key[3]));
    }
  }

  #knowDelays(definition: QueueDefinition): void {
    if (definition.delays !== undefined) this.#delayQueues.know(definition.delays, definition);
  }

  #restoreQueue(name: string, definition: QueueDefinition): void {
    if (definition.delays === undefined)
      this.#add(new Queue(restoredInitOf(name, this.name, definition), this.#environment));
  }

  // ---------------------------------------------------------------- exchanges

  declareExchange(name: string, options: ExchangeOptions): void {
    const declared = this.#exchanges.declare(name, options);
    if (declared === undefined) return;
    this.#applyPolicyTo(declared);
    this.#routesChanged();
  }

  /** Throws NOT_FOUND (AMQP 0-9-1, `exchange.declare` with `passive`). */
  checkExchange(name: string): void {
    this.#exchanges.check(name);
  }

  /** Undefined when there is none. */
  exchangeType(name: string): ExchangeType | undefined {
    return this.#exchanges.get(name)?.init.type;
  }

  /** Also removes its bindings. One that is not there is not an error (RabbitMQ since 3.2). */
  deleteExchange(name: string, { ifUnused = false }: Pick<DeleteOptions, 'ifUnused'> = {}): void {
    this.#exchanges.delete(name, ifUnused);
    this.#routesChanged();
  }

  // ---------------------------------------------------------------- queues

  /** An empty name is filled in by the server. Returns the queue that is there when it is equivalent. */
  declareQueue(name: string, options: QueueOptions, owner: object): Queue {
    const { exclusive = false, autoDelete = false } = options;
    const durable = (options.durable ?? true) && !exclusive;
    const existing = this.#queues.get(name);
    if (existing !== undefined) {
      this.#assertAccess(existing, owner);
      if (exclusive !== (existing.init.owner !== undefined)) throw locked(name, this.name);
      const at = `queue '${name}' in vhost '${this.name}'`;
      assertEquivalent('durable', durable, existing.init.durable, at);
      assertEquivalent('auto_delete', autoDelete, existing.init.autoDelete, at);
      assertEquivalentArguments(existing.init.arguments, options.arguments, at);
      existing.touch();
      return existing;
    }
    if (options.mayBeReserved !== true) assertNotReserved('queue', name);
    assertShortString('queue name', name);
    const given = name === '' ? generatedName('amq.gen') : name;
    const init = initOf(given, this.name, { ...options, durable, exclusive, autoDelete }, owner);
    const queue = new Queue({ ...init, id: this.#environment.ids.take() }, this.#environment);
    if (durable) this.#define(['queue', this.name, given], definitionOf(queue));
    this.#add(queue);
    this.#applyPolicyTo(queue);
    this.#routesChanged();
    return queue;
  }

  #add(queue: Queue): void {
    this.#queues.set(queue.name, queue);
    this.#environment.ids.add(queue);
    this.#exchanges.bindToDefault(queue);
  }

  /** Throws NOT_FOUND, or RESOURCE_LOCKED when it is exclusive to another connection. */
  queue(name: string, owner: object): Queue {
    const queue = this.#queue(name);
    this.#assertAccess(queue, owner);
    return queue;
  }

  /** Returns how many messages were ready. One that is not there is not an error (RabbitMQ since 3.2). */
  deleteQueue(name: string, owner: object, { ifUnused, ifEmpty }: DeleteOptions = {}): number {
    const queue = this.#queues.get(name);
    if (queue === undefined) return 0;
    this.#assertAccess(queue, owner);
    if (ifUnused && queue.consumerCount > 0) throw preconditionFailed('queue', name, this.name, 'in use');
    if (ifEmpty && !queue.isEmpty) throw preconditionFailed('queue', name, this.name, 'not empty');
    if (queue.init.durable || this.#exchanges.isNamedOnDisk(queue)) this.#assertWritable();
    return this.#remove(queue);
  }

  deleteQueuesOf(owner: object): void {
    for (const queue of this.#queues.values()) if (queue.init.owner === owner) this.#remove(queue);
  }

  /** With a failed store it stays, as it does on the disk: nobody is there to be told. */
  #removeUnused(queue: Queue): void {
    if (this.#environment.store.failure === undefined) this.#remove(queue);
  }

  #remove(queue: Queue): number {
    this.#exchanges.unbindAll(queue);
    if (queue.init.durable) this.#define(['queue', this.name, queue.name], null);
    this.#queues.delete(queue.name);
    // What is unsettled is settled later, at the position that it knows.
    const count = queue.delete();
    if (queue.heldCount === 0) this.#environment.ids.forget(queue);
    this.#routesChanged();
    return count;
  }

  // ---------------------------------------------------------------- bindings

  bind({ destination, ...binding }: BindingInit<string>, owner: object): void {
    // The exchange is looked for first, as in RabbitMQ.
    this.#exchanges.find(binding.source);
    this.#exchanges.bind({ ...binding, destination: this.queue(destination, owner) });
    this.#routesChanged();
  }

  /** A binding, queue or exchange that is not there is not an error (RabbitMQ since 3.2). */
  unbind({ destination, ...binding }: BindingInit<string>, owner: object): void {
    const queue = this.#queues.get(destination);
    if (queue !== undefined) this.#assertAccess(queue, owner);
    this.#exchanges.unbind({ ...binding, destination: queue });
    this.#routesChanged();
  }

  /** What goes to the source goes on to the destination. Throws NOT_FOUND when one is not there. */
  bindExchange({ source, destination, ...binding }: BindingInit<string>): void {
    const [from, to] = [this.#exchanges.find(source), this.#exchanges.find(destination)];
    this.#exchanges.bind({ ...binding, source: from.name, destination: to });
    this.#routesChanged();
  }

  /** A binding or an exchange that is not there is not an error. */
  unbindExchange(binding: BindingInit<string>): void {
    this.#exchanges.unbindExchange(binding);
    this.#routesChanged();
  }

  #routesChanged(): void {
    const tells = [...this.#awaitingRoutes];
    this.#awaitingRoutes.clear();
    for (const tell of tells) tell();
  }

  #assertWritable(): void {
    if (this.#environment.store.failure !== undefined) throw this.#environment.store.failure;
  }

  #define(key: DefinitionKey, value: object | null): void {
    this.#environment.store.define(encodeKey(key), value);
  }

  // ---------------------------------------------------------------- messages

  /** Throws NOT_FOUND or ACCESS_REFUSED when a message can't be published to it. */
  checkRoute(exchangeName: string): void {
    this.#exchanges.forPublishing(exchangeName);
  }

  /** See {@link MessageWay.publish}. */
  publish(message: Message): PublishOutcome {
    return this.#way.publish(message);
  }

  /** See {@link MessageWay.prepare}. */
  prepare(message: Message): number {
    return this.#way.prepare(message);
  }

  /** See {@link MessageWay.transact}. */
  transact(messages: readonly Message[], deliveries: readonly Delivery[]): PublishOutcome[] {
    return this.#way.transact(messages, deliveries);
  }

  /** See {@link MessageWay.forward}. */
  forward(delivery: Delivery, envelope: Omit<Message, 'body'>): PublishOutcome | 'settled' {
    return this.#way.forward(delivery, envelope);
  }

  /** See {@link MessageWay.onwards}. */
  onwards(envelope: Omit<Message, 'body'>, copyKeys?: readonly string[], exchange?: string): Onwards {
    return this.#way.onwards(envelope, copyKeys, exchange);
  }

  /** Nothing happens by itself any more. Idempotent. */
  close(): void {
    for (const queue of this.#queues.values()) queue.stop();
    this.#delayQueues.stop();
  }

  // ---------------------------------------------------------------- policies

  /** From now on these are in effect, for what is there and for what comes. */
  applyPolicies(policies: Policies): void {
    this.#policies = policies;
    for (const queue of this.#queues.values()) this.#applyPolicyTo(queue);
    for (const exchange of this.#exchanges.all()) this.#applyPolicyTo(exchange);
    this.#routesChanged();
  }

  #applyPolicyTo(target: Queue | Exchange): void {
    const { name } = target;
    const subject: PolicySubject =
      target instanceof Queue
        ? { kind: 'queue', name, queueType: target.settings.type }
        : { kind: 'exchange', name };
    target.applyPolicy(this.#policies.effectiveFor(subject)?.definition);
  }

  /** Deletes all that is in it. Throws, with nothing done, while the store has failed. */
  clear(): void {
    this.#assertWritable();
    for (const queue of this.#queues.values()) this.#remove(queue);
    this.#exchanges.clear();
    this.close();
  }

  // ---------------------------------------------------------------- finding and refusing

  /** As they are now, in the order in which they were declared. */
  get queueStates(): QueueState[] {
    return [...this.#queues.values()].map((queue) => stateOf(queue));
  }

  /** Messages that its exchanges hold until their time. */
  get delayedCount(): number {
    return this.#delayQueues.length;
  }

  has(queueName: string): boolean {
    return this.#queues.has(queueName);
  }

  #queue(name: string): Queue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw notFound('queue', name, this.name);
    return queue;
  }

  #assertAccess(queue: Queue, owner: object): void {
    if (queue.init.owner !== undefined && queue.init.owner !== owner) throw locked(queue.name, this.name);
  }
}
