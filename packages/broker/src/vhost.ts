import { randomBytes } from 'node:crypto';
import {
  decodeKey,
  type DefinitionKey,
  encodeKey,
  type ExchangeDefinition,
  type ExchangeType,
  type QueueDefinition,
} from './definitions/definitions.js';
import { moveDeadLetter, publishDeadLetter } from './dead-lettering.js';
import { BrokerError, channelError, connectionError } from './errors.js';
import { Exchange, isExchangeType } from './exchange.js';
import { LIMITS } from './limits.js';
import { withBody } from './message/encoded-message.js';
import type { FieldTable, Message } from './message/message.js';
import { type Admission, admit, enqueue, isRuled } from './queue/admission.js';
import type { Delivery } from './queue/delivery.js';
import { Queue, type QueueEnvironment, type RouteByDurability } from './queue/queue.js';
import { argumentBytes, assertEquivalentArguments, parseQueueArguments } from './queue/queue-arguments.js';
import type { Appended, Publication, Recovered, Residence, Residents } from './store/message-store.js';

/**
 * Where a message went. Not an error: the caller decides what unroutable means. Rejected: a queue is full and does not
 * take it (`x-overflow`); others may have it.
 */
export type PublishOutcome = 'routed' | 'unroutable' | 'rejected';

export interface ExchangeOptions {
  readonly type: ExchangeType;
  /** Survives a restart. @default true */
  readonly durable?: boolean;
  /** Deleted when its last binding goes, after it had one. @default false */
  readonly autoDelete?: boolean;
}

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
}

/** What `deleteExchange` and `deleteQueue` are to refuse. */
export interface DeleteOptions {
  /** It has a consumer; an exchange, a binding. @default false */
  readonly ifUnused?: boolean;
  /** It has a ready message. @default false */
  readonly ifEmpty?: boolean;
}

const DEFAULT_EXCHANGE = '';
/** The bytes of an empty field table: its length. */
const NO_ARGUMENTS = 4;
/** Exchanges that are there without a definition. */
export const PREDECLARED: readonly [string, ExchangeType][] = [
  [DEFAULT_EXCHANGE, 'direct'],
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
];

/**
 * Exchanges, queues and bindings of one virtual host, and the way of a message: publish, route, store, enqueue.
 *
 * Definitions take effect at once and go into the same journal as messages, before any message that needs them: so a
 * confirm can't come before they are durable (J1).
 */
export class Vhost implements Residents {
  readonly #environment: QueueEnvironment;
  readonly #exchanges = new Map<string, Exchange>();
  readonly #queues = new Map<string, Queue>();
  readonly #queuesById = new Map<number, Queue>();
  #nextQueueId = 1;

  constructor(
    readonly name: string,
    environment: Pick<QueueEnvironment, 'store' | 'clock' | 'schedule' | 'later' | 'onReadFailure'>,
  ) {
    const deadLettering = { store: environment.store, route: (letter: Message) => this.#routeLetter(letter) };
    this.#environment = {
      ...environment,
      deadLetter: (letter) => moveDeadLetter(deadLettering, letter),
      deadLetterRejected: (message, death) =>
        this.#unlessFailed(() => publishDeadLetter(deadLettering, message, death)),
      onUnused: (queue) => this.#removeUnused(queue),
      onIdle: (queue) => this.#removeUnused(queue),
      onForgotten: ({ init }) => this.#queuesById.delete(init.id),
    };
    for (const [exchange, type] of PREDECLARED)
      this.#exchanges.set(exchange, new Exchange(exchange, type, true, false));
  }

  /**
   * Rebuilds what the store had. Messages of queues that are no more are settled. Throws JOURNAL_DAMAGED when definitions
   * are missing.
   */
  restore({ definitions, entries, lacksSnapshot }: Recovered): void {
    const all = [...definitions].map(([key, value]) => [decodeKey(key), value] as const);
    for (const [key, value] of all) {
      if (key[0] === 'exchange') this.#restoreExchange(key[2], value as ExchangeDefinition);
      if (key[0] === 'queue') this.#restoreQueue(key[2], value as QueueDefinition);
    }
    for (const [key] of all) {
      if (key[0] === 'binding') this.#restoreBinding(key[2], key[3], key[4]);
    }
    for (const [id, stored] of entries) {
      this.#nextQueueId = Math.max(this.#nextQueueId, id + 1);
      const queue = this.#queuesById.get(id);
      if (queue !== undefined) queue.restore(stored);
      else if (lacksSnapshot)
        throw damaged(
          `definitions.json is missing, and ${stored.length} messages are of a queue that nothing else names`,
        );
      else this.#environment.store.discard(id, stored.sequences.at(-1) ?? 0, [], stored.positions);
    }
  }

  #restoreExchange(name: string, { type, autoDelete }: ExchangeDefinition): void {
    this.#exchanges.set(name, new Exchange(name, type, true, autoDelete));
  }

  #restoreQueue(name: string, { id, autoDelete, arguments: table }: QueueDefinition): void {
    this.#nextQueueId = Math.max(this.#nextQueueId, id + 1);
    const facts = { name, vhost: this.name, durable: true, exclusive: false, autoDelete };
    const args = parseQueueArguments(table === undefined ? undefined : Buffer.from(table, 'base64'), facts);
    const init = { id, name, durable: true, autoDelete, owner: undefined, arguments: args };
    this.#add(new Queue(init, this.#environment));
  }

  #restoreBinding(exchangeName: string, queueName: string, routingKey: string): void {
    const exchange = this.#exchanges.get(exchangeName);
    const queue = this.#queues.get(queueName);
    if (exchange === undefined || queue === undefined) {
      throw damaged(
        `a binding names the exchange '${exchangeName}' and the queue '${queueName}', of which one is not there`,
      );
    }
    exchange.bind(queue, routingKey);
  }

  // ---------------------------------------------------------------- exchanges

  declareExchange(name: string, options: ExchangeOptions): Exchange {
    if (!isExchangeType(options.type))
      throw connectionError('COMMAND_INVALID', `invalid exchange type '${String(options.type)}'`);
    if (name === DEFAULT_EXCHANGE) throw refusedOnDefault();
    const { type, durable = true, autoDelete = false } = options;
    const existing = this.#exchanges.get(name);
    if (existing !== undefined) {
      const at = `exchange '${name}' in vhost '${this.name}'`;
      assertEquivalent('type', type, existing.type, at);
      assertEquivalent('durable', durable, existing.durable, at);
      assertEquivalent('auto_delete', autoDelete, existing.autoDelete, at);
      return existing;
    }
    this.#assertNotReserved('exchange', name);
    assertShortString('exchange name', name);
    const exchange = new Exchange(name, type, durable, autoDelete);
    if (durable) this.#define(['exchange', this.name, name], { type, autoDelete });
    this.#exchanges.set(name, exchange);
    return exchange;
  }

  /** Throws NOT_FOUND (AMQP 0-9-1, `exchange.declare` with `passive`). */
  checkExchange(name: string): void {
    if (name === DEFAULT_EXCHANGE) throw refusedOnDefault();
    this.#exchange(name);
  }

  /** Also removes its bindings. One that is not there is not an error (RabbitMQ since 3.2). */
  deleteExchange(name: string, { ifUnused = false }: Pick<DeleteOptions, 'ifUnused'> = {}): void {
    if (name === DEFAULT_EXCHANGE) throw refusedOnDefault();
    if (name.startsWith('amq.')) {
      throw channelError(
        'ACCESS_REFUSED',
        `deletion of system exchange '${name}' in vhost '${this.name}' not allowed`,
      );
    }
    const exchange = this.#exchanges.get(name);
    if (exchange === undefined) return;
    if (exchange.durable) this.#assertWritable();
    if (ifUnused && exchange.bindings.size > 0) throw this.#preconditionFailed('exchange', name, 'in use');
    for (const queue of exchange.bindings.keys()) this.#unbindAll(exchange, queue);
    if (exchange.durable) this.#define(['exchange', this.name, name], null);
    this.#exchanges.delete(name);
  }

  // ---------------------------------------------------------------- queues

  /** An empty name is filled in by the server. Returns the queue that is there when it is equivalent. */
  declareQueue(name: string, options: QueueOptions, owner: object): Queue {
    const { exclusive = false, autoDelete = false } = options;
    const durable = (options.durable ?? true) && !exclusive;
    const existing = this.#queues.get(name);
    if (existing !== undefined) {
      this.#assertAccess(existing, owner);
      if (exclusive !== (existing.init.owner !== undefined)) throw this.#locked(name);
      const at = `queue '${name}' in vhost '${this.name}'`;
      assertEquivalent('durable', durable, existing.init.durable, at);
      assertEquivalent('auto_delete', autoDelete, existing.init.autoDelete, at);
      assertEquivalentArguments(existing.argumentBytes, argumentBytes(options.arguments), at);
      existing.touch();
      return existing;
    }
    this.#assertNotReserved('queue', name);
    assertShortString('queue name', name);
    return this.#newQueue(name, { ...options, durable, exclusive, autoDelete }, owner);
  }

  #newQueue(
    given: string,
    options: QueueOptions & Required<Omit<QueueOptions, 'arguments'>>,
    owner: object,
  ): Queue {
    const { durable, exclusive, autoDelete } = options;
    const name = given === '' ? `amq.gen-${randomBytes(16).toString('base64url')}` : given;
    const args = parseQueueArguments(options.arguments, {
      name,
      vhost: this.name,
      durable,
      exclusive,
      autoDelete,
    });
    const id = this.#nextQueueId++;
    const init = { id, name, durable, autoDelete, owner: exclusive ? owner : undefined, arguments: args };
    const queue = new Queue(init, this.#environment);
    if (durable) this.#define(['queue', this.name, name], definitionOf(queue));
    this.#add(queue);
    return queue;
  }

  #add(queue: Queue): void {
    this.#queues.set(queue.name, queue);
    this.#queuesById.set(queue.init.id, queue);
    this.#exchange(DEFAULT_EXCHANGE).bind(queue, queue.name);
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
    if (ifUnused && queue.consumerCount > 0) throw this.#preconditionFailed('queue', name, 'in use');
    if (ifEmpty && !queue.isEmpty) throw this.#preconditionFailed('queue', name, 'not empty');
    if (this.#isDefined(queue)) this.#assertWritable();
    return this.#remove(queue);
  }

  /** Whether the queue, or an exchange that goes with its last binding, is on the disk. */
  #isDefined(queue: Queue): boolean {
    if (queue.init.durable) return true;
    return [...this.#exchanges.values()].some(
      (one) => one.durable && one.autoDelete && one.bindings.has(queue),
    );
  }

  deleteQueuesOf(owner: object): void {
    for (const queue of this.#queues.values()) if (queue.init.owner === owner) this.#remove(queue);
  }

  /** With a failed store it stays, as it does on the disk: nobody is there to be told. */
  #removeUnused(queue: Queue): void {
    if (this.#environment.store.failure === undefined) this.#remove(queue);
  }

  #remove(queue: Queue): number {
    for (const exchange of this.#exchanges.values()) this.#unbindAll(exchange, queue);
    if (queue.init.durable) this.#define(['queue', this.name, queue.name], null);
    this.#queues.delete(queue.name);
    // What is unsettled is settled later, at the position that it knows.
    if (queue.heldCount === 0) this.#queuesById.delete(queue.init.id);
    return queue.delete();
  }

  // ---------------------------------------------------------------- bindings

  bind(queueName: string, exchangeName: string, key: string, owner: object): void {
    if (exchangeName === DEFAULT_EXCHANGE) throw refusedOnDefault();
    const exchange = this.#exchange(exchangeName);
    const queue = this.queue(queueName, owner);
    assertShortString('binding key', key);
    if (exchange.has(queue, key)) return;
    if (exchange.durable && queue.init.durable) this.#define(this.#bindingKey(exchange, queue, key), {});
    exchange.bind(queue, key);
  }

  /** A binding, queue or exchange that is not there is not an error (RabbitMQ since 3.2). */
  unbind(queueName: string, exchangeName: string, key: string, owner: object): void {
    if (exchangeName === DEFAULT_EXCHANGE) throw refusedOnDefault();
    const exchange = this.#exchanges.get(exchangeName);
    const queue = this.#queues.get(queueName);
    if (exchange === undefined || queue === undefined) return;
    this.#assertAccess(queue, owner);
    if (!exchange.has(queue, key)) return;
    // Before the first of several steps, so that none is taken when the last would be refused.
    if (exchange.durable) this.#assertWritable();
    exchange.unbind(queue, key);
    this.#undefineBinding(exchange, queue, key);
    this.#deleteIfUnbound(exchange);
  }

  #unbindAll(exchange: Exchange, queue: Queue): void {
    const keys = exchange.unbindAll(queue);
    if (exchange.name === DEFAULT_EXCHANGE || keys.length === 0) return;
    for (const key of keys) this.#undefineBinding(exchange, queue, key);
    this.#deleteIfUnbound(exchange);
  }

  /** With a failed store a durable one stays, as it does on the disk: nobody is there to be told. */
  #deleteIfUnbound(exchange: Exchange): void {
    if (!exchange.autoDelete || exchange.bindings.size > 0) return;
    if (exchange.durable && this.#environment.store.failure !== undefined) return;
    if (this.#exchanges.delete(exchange.name) && exchange.durable) {
      this.#define(['exchange', this.name, exchange.name], null);
    }
  }

  #undefineBinding(exchange: Exchange, queue: Queue, key: string): void {
    if (exchange.durable && queue.init.durable) this.#define(this.#bindingKey(exchange, queue, key), null);
  }

  #bindingKey(exchange: Exchange, queue: Queue, key: string): DefinitionKey {
    return ['binding', this.name, exchange.name, queue.name, key];
  }

  #assertWritable(): void {
    if (this.#environment.store.failure !== undefined) throw this.#environment.store.failure;
  }

  #define(key: DefinitionKey, value: object | null): void {
    this.#environment.store.define(encodeKey(key), value);
  }

  // ---------------------------------------------------------------- messages

  /** Throws NOT_FOUND when a message can't be published to it. */
  checkRoute(exchangeName: string): void {
    this.#exchange(exchangeName);
  }

  /**
   * Throws NOT_FOUND for a missing exchange, PRECONDITION_FAILED for a bad expiration, and what {@link MessageStore.publish}
   * throws.
   */
  publish(message: Message): PublishOutcome {
    const queues = this.#route(message);
    if (queues.size === 0) return 'unroutable';
    if (isRuled(queues, message)) return this.#publishByRules(queues, message);
    const { journaled, others } = byDurability(queues);
    const appended = this.#environment.store.publish(message, journaled, others);
    for (const queue of queues) queue.enqueue(appended, message);
    return 'routed';
  }

  #publishByRules(routed: ReadonlySet<Queue>, message: Message): PublishOutcome {
    const { store, clock } = this.#environment;
    const admission = admit(routed, message, clock.now());
    const { queues, journaled, others, marks, rejecting } = admission;
    if (queues.length > 0) enqueue(admission, store.publish(message, journaled, others, marks), message);
    for (const queue of rejecting) queue.onRejected(message);
    return rejecting.length > 0 ? 'rejected' : 'routed';
  }

  /**
   * Publishes messages and acks deliveries, all or none of it, also after a crash (J2). Deliveries that were settled
   * before are passed over. Throws, with nothing done, what {@link publish} throws, and TRANSACTION_TOO_LARGE.
   */
  transact(messages: readonly Message[], deliveries: readonly Delivery[]): PublishOutcome[] {
    const now = this.#environment.clock.now();
    const routes = messages.map((message) => admit(this.#route(message), message, now));
    const publications: Publication[] = [];
    for (const [i, message] of messages.entries()) {
      const { queues, journaled, others, marks } = routes[i] as Admission;
      if (queues.length > 0)
        publications.push({ message, journaledQueueIds: journaled, otherQueues: others, marks });
    }
    const acked = [...new Set(deliveries)].filter(({ settled }) => !settled);
    const held = acked.map(({ queue, entry }) => ({ queueId: queue.init.id, ...entry }));
    const appended = this.#environment.store.transact(publications, held);
    for (const delivery of acked) delivery.settleBy(() => {});
    let next = 0;
    return routes.map((admission, i) => {
      const message = messages[i] as Message;
      if (admission.queues.length > 0) enqueue(admission, appended[next++] as Appended, message);
      return outcomeOf(admission, message);
    });
  }

  #route({ exchange, routingKey }: Pick<Message, 'exchange' | 'routingKey'>): ReadonlySet<Queue> {
    assertShortString('routing key', routingKey);
    return this.#exchange(exchange).router.route(routingKey);
  }

  /**
   * Settles a delivery by publishing its body under a new envelope, in one step that a crash can't split (J2). When
   * it is unroutable, or the delivery was settled before, nothing happens.
   */
  forward(delivery: Delivery, envelope: Omit<Message, 'body'>): PublishOutcome | 'settled' {
    const { store, clock } = this.#environment;
    const message = withBody(envelope, delivery.message.body);
    const admission = admit(this.#route(envelope), message, clock.now());
    const { queues, journaled, others, marks, rejecting } = admission;
    if (queues.length === 0) return rejecting.length === 0 ? 'unroutable' : 'rejected';
    const moved = delivery.settleBy(({ init }, { sequence, position }) => {
      const from = { queueId: init.id, sequence, position, message: delivery.message };
      enqueue(admission, store.move(from, message, journaled, others, marks), message);
    });
    return moved ? 'routed' : 'settled';
  }

  /** Where a dead letter goes; nowhere, where its exchange is missing. */
  #routeLetter({ exchange, routingKey }: Message): Iterable<Queue> {
    return this.#exchanges.get(exchange)?.router.route(routingKey) ?? [];
  }

  /** With a failed store the letter is lost with the publish that was refused: its publisher was told. */
  #unlessFailed(publish: () => void): void {
    if (this.#environment.store.failure === undefined) publish();
  }

  /** Nothing happens by itself any more. Idempotent. */
  close(): void {
    for (const queue of this.#queues.values()) queue.stop();
  }

  /** As the store asks before it brings a message forward. */
  find(queueId: number, sequence: number): Residence | undefined {
    return this.#queuesById.get(queueId)?.find(sequence);
  }

  relocate(queueId: number, sequence: number, position: number): void {
    this.#queuesById.get(queueId)?.find(sequence, position);
  }

  // ---------------------------------------------------------------- finding and refusing

  #exchange(name: string): Exchange {
    const exchange = this.#exchanges.get(name);
    if (exchange === undefined)
      throw channelError('NOT_FOUND', `no exchange '${name}' in vhost '${this.name}'`);
    return exchange;
  }

  #queue(name: string): Queue {
    const queue = this.#queues.get(name);
    if (queue === undefined) throw channelError('NOT_FOUND', `no queue '${name}' in vhost '${this.name}'`);
    return queue;
  }

  #assertAccess(queue: Queue, owner: object): void {
    if (queue.init.owner !== undefined && queue.init.owner !== owner) throw this.#locked(queue.name);
  }

  #locked(name: string): Error {
    return channelError(
      'RESOURCE_LOCKED',
      `cannot obtain exclusive access to locked queue '${name}' in vhost '${this.name}'. It could be originally declared on another connection or the exclusive property value does not match that of the original declaration.`,
    );
  }

  #preconditionFailed(kind: 'queue' | 'exchange', name: string, why: string): Error {
    return channelError('PRECONDITION_FAILED', `${kind} '${name}' in vhost '${this.name}' ${why}`);
  }

  #assertNotReserved(kind: 'queue' | 'exchange', name: string): void {
    if (name.startsWith('amq.')) {
      throw channelError('ACCESS_REFUSED', `${kind} name '${name}' contains reserved prefix 'amq.*'`);
    }
  }
}

/** As it is kept: without arguments it has none, as before there were any. */
function definitionOf({ init, argumentBytes: bytes }: Queue): QueueDefinition {
  const { id, autoDelete } = init;
  return bytes.length === NO_ARGUMENTS
    ? { id, autoDelete }
    : { id, autoDelete, arguments: bytes.toString('base64') };
}

function outcomeOf({ queues, rejecting }: Admission, message: Message): PublishOutcome {
  for (const queue of rejecting) queue.onRejected(message);
  if (rejecting.length > 0) return 'rejected';
  return queues.length > 0 ? 'routed' : 'unroutable';
}

function byDurability(queues: ReadonlySet<Queue>): RouteByDurability {
  if (queues.size === 1) return (queues.values().next().value as Queue).alone;
  const journaled: number[] = [];
  for (const { init } of queues) if (init.durable) journaled.push(init.id);
  return { journaled, others: queues.size - journaled.length };
}

function assertEquivalent(argument: string, received: unknown, current: unknown, at: string): void {
  if (received === current) return;
  throw channelError(
    'PRECONDITION_FAILED',
    `inequivalent arg '${argument}' for ${at}: received '${String(received)}' but current is '${String(current)}'`,
  );
}

/** UTF-8 takes at most 3 bytes a UTF-16 unit, so most need no counting. */
function assertShortString(what: string, value: string): void {
  const bytesMax = LIMITS.shortStringBytesMax;
  if (value.length * 3 <= bytesMax || Buffer.byteLength(value) <= bytesMax) return;
  throw new BrokerError(
    'INVALID_MESSAGE',
    `The ${what} '${value.slice(0, 40)}…' has ${Buffer.byteLength(value)} bytes.`,
    {
      cure: `Give one of at most ${bytesMax} bytes as UTF-8.`,
    },
  );
}

function damaged(why: string): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `The journal's definitions are not whole: ${why}.`, {
    severity: 'broker',
    cure: 'Put definitions.json back, or let `nestmq repair` keep what can be read; nothing was thrown away.',
  });
}

function refusedOnDefault(): Error {
  return channelError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
}
