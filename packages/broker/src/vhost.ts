import { randomBytes } from 'node:crypto';
import {
  type DefinitionKey,
  encodeKey,
  type ExchangeDefinition,
  type ExchangeType,
  type QueueDefinition,
} from './definitions/definitions.js';
import { Policies, type PolicySubject } from './definitions/policies.js';
import type { PolicyTarget } from './definitions/access-definitions.js';
import { BrokerError, channelError, connectionError } from './errors.js';
import { Exchange, isExchangeType } from './exchange.js';
import { LIMITS } from './limits.js';
import { withBody } from './message/encoded-message.js';
import type { Message } from './message/message.js';
import type { Delivery } from './queue/delivery.js';
import { Queue, type QueueEnvironment, type RouteByDurability } from './queue/queue.js';
import type { QueueIds } from './queue/queue-ids.js';
import type { Appended, Publication } from './store/message-store.js';

/** Where a message went. Not an error: the caller decides what unroutable means. */
export type PublishOutcome = 'routed' | 'unroutable';

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
}

/** What `deleteExchange` and `deleteQueue` are to refuse. */
export interface DeleteOptions {
  /** It has a consumer; an exchange, a binding. @default false */
  readonly ifUnused?: boolean;
  /** It has a ready message. @default false */
  readonly ifEmpty?: boolean;
}

/** What all vhosts of a broker have in common. */
export interface VhostEnvironment extends Omit<QueueEnvironment, 'onUnused' | 'onForgotten'> {
  readonly ids: QueueIds;
}

const DEFAULT_EXCHANGE = '';
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
export class Vhost {
  readonly #environment: QueueEnvironment & VhostEnvironment;
  readonly #exchanges = new Map<string, Exchange>();
  readonly #queues = new Map<string, Queue>();
  #policies = new Policies([], []);

  constructor(
    readonly name: string,
    environment: VhostEnvironment,
  ) {
    this.#environment = {
      ...environment,
      onUnused: (queue) => this.#removeUnused(queue),
      onForgotten: (queue) => environment.ids.forget(queue),
    };
    for (const [exchange, type] of PREDECLARED)
      this.#exchanges.set(exchange, new Exchange(exchange, type, true, false));
  }

  /** Rebuilds what the store had, of definitions of all vhosts. Throws JOURNAL_DAMAGED when some are missing. */
  restore(definitions: readonly (readonly [DefinitionKey, unknown])[]): void {
    const own = definitions.filter(([key]) => key[1] === this.name);
    for (const [key, value] of own) {
      if (key[0] === 'exchange') this.#restoreExchange(key[2], value as ExchangeDefinition);
      if (key[0] === 'queue') this.#restoreQueue(key[2], value as QueueDefinition);
    }
    for (const [key] of own) {
      if (key[0] === 'binding') this.#restoreBinding(key[2], key[3], key[4]);
    }
  }

  #restoreExchange(name: string, { type, autoDelete }: ExchangeDefinition): void {
    this.#exchanges.set(name, new Exchange(name, type, true, autoDelete));
  }

  #restoreQueue(name: string, { id, autoDelete }: QueueDefinition): void {
    this.#add(new Queue({ id, name, durable: true, autoDelete, owner: undefined }, this.#environment));
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
    assertExchangeType(options.type);
    assertNotDefault(name);
    const { type, durable = true, autoDelete = false } = options;
    const existing = this.#exchanges.get(name);
    if (existing !== undefined) {
      const at = `exchange '${name}' in vhost '${this.name}'`;
      assertEquivalent('type', type, existing.type, at);
      assertEquivalent('durable', durable, existing.durable, at);
      assertEquivalent('auto_delete', autoDelete, existing.autoDelete, at);
      return existing;
    }
    assertNotReserved('exchange', name);
    assertShortString('exchange name', name);
    const exchange = new Exchange(name, type, durable, autoDelete);
    if (durable) this.#define(['exchange', this.name, name], { type, autoDelete });
    this.#exchanges.set(name, exchange);
    this.#applyPolicy({ kind: 'exchange', name }, exchange);
    return exchange;
  }

  /** Throws NOT_FOUND (AMQP 0-9-1, `exchange.declare` with `passive`). */
  checkExchange(name: string): void {
    assertNotDefault(name);
    this.#exchange(name);
  }

  exchangeType(name: string): ExchangeType | undefined {
    return this.#exchanges.get(name)?.type;
  }

  /** Also removes its bindings. One that is not there is not an error (RabbitMQ since 3.2). */
  deleteExchange(name: string, { ifUnused = false }: Pick<DeleteOptions, 'ifUnused'> = {}): void {
    assertDeletable(name, this.name);
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
      return existing;
    }
    assertNotReserved('queue', name);
    assertShortString('queue name', name);
    const queue = new Queue(
      {
        id: this.#environment.ids.take(),
        name: name === '' ? generatedName('amq.gen') : name,
        durable,
        autoDelete,
        owner: exclusive ? owner : undefined,
      },
      this.#environment,
    );
    if (durable) this.#define(['queue', this.name, queue.name], { id: queue.init.id, autoDelete });
    this.#add(queue);
    this.#applyPolicy({ kind: 'queue', name: queue.name }, queue);
    return queue;
  }

  #add(queue: Queue): void {
    this.#queues.set(queue.name, queue);
    this.#environment.ids.add(queue);
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
    if (ifEmpty && queue.readyCount > 0) throw this.#preconditionFailed('queue', name, 'not empty');
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
    if (queue.unsettledCount === 0) this.#environment.ids.forget(queue);
    return queue.delete();
  }

  // ---------------------------------------------------------------- bindings

  bind(queueName: string, exchangeName: string, key: string, owner: object): void {
    assertNotDefault(exchangeName);
    const exchange = this.#exchange(exchangeName);
    const queue = this.queue(queueName, owner);
    assertShortString('binding key', key);
    if (exchange.has(queue, key)) return;
    if (exchange.durable && queue.init.durable) this.#define(this.#bindingKey(exchange, queue, key), {});
    exchange.bind(queue, key);
  }

  /** A binding, queue or exchange that is not there is not an error (RabbitMQ since 3.2). */
  unbind(queueName: string, exchangeName: string, key: string, owner: object): void {
    assertNotDefault(exchangeName);
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

  /** Throws NOT_FOUND for a missing exchange, and what {@link MessageStore.publish} throws. */
  publish(message: Message): PublishOutcome {
    const queues = this.#route(message);
    if (queues.size === 0) return 'unroutable';
    const { journaled, others } = byDurability(queues);
    const appended = this.#environment.store.publish(message, journaled, others);
    for (const queue of queues) queue.enqueue(appended, message);
    return 'routed';
  }

  /**
   * Publishes messages and acks deliveries, all or none of it, also after a crash (J2). Deliveries that were settled
   * before are passed over. Throws, with nothing done, what {@link publish} throws, and TRANSACTION_TOO_LARGE.
   */
  transact(messages: readonly Message[], deliveries: readonly Delivery[]): PublishOutcome[] {
    const routes = messages.map((message) => this.#route(message));
    const publications: Publication[] = [];
    for (const [i, message] of messages.entries()) {
      const queues = routes[i] as ReadonlySet<Queue>;
      const { journaled, others } = byDurability(queues);
      if (queues.size > 0) publications.push({ message, journaledQueueIds: journaled, otherQueues: others });
    }
    const acked = [...new Set(deliveries)].filter(({ settled }) => !settled);
    const held = acked.map(({ queue, entry }) => ({ queueId: queue.init.id, ...entry }));
    const appended = this.#environment.store.transact(publications, held);
    for (const delivery of acked) delivery.settleBy(() => {});
    let next = 0;
    return routes.map((queues, i) => {
      if (queues.size === 0) return 'unroutable';
      const one = appended[next++] as Appended;
      for (const queue of queues) queue.enqueue(one, messages[i] as Message);
      return 'routed';
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
    const queues = this.#route(envelope);
    if (queues.size === 0) return 'unroutable';
    const { journaled, others } = byDurability(queues);
    const moved = delivery.settleBy(({ init }, { sequence, position }) => {
      const from = { queueId: init.id, sequence, position, message: delivery.message };
      const message = withBody(envelope, delivery.message.body);
      const appended = this.#environment.store.move(from, message, journaled, others);
      for (const queue of queues) queue.enqueue(appended, message);
    });
    return moved ? 'routed' : 'settled';
  }

  // ---------------------------------------------------------------- policies

  /** From now on these are in effect, for what is there and for what comes. */
  applyPolicies(policies: Policies): void {
    this.#policies = policies;
    for (const [name, queue] of this.#queues) this.#applyPolicy({ kind: 'queue', name }, queue);
    for (const [name, exchange] of this.#exchanges) this.#applyPolicy({ kind: 'exchange', name }, exchange);
  }

  #applyPolicy(subject: PolicySubject, target: PolicyTarget): void {
    target.applyPolicy(this.#policies.effectiveFor(subject)?.definition);
  }

  /** Deletes all that is in it. Throws, with nothing done, while the store has failed. */
  clear(): void {
    this.#assertWritable();
    for (const queue of this.#queues.values()) this.#remove(queue);
    for (const { name, durable } of this.#exchanges.values()) {
      const isDefined = durable && !PREDECLARED.some(([predeclared]) => predeclared === name);
      if (isDefined) this.#define(['exchange', this.name, name], null);
    }
    this.#exchanges.clear();
  }

  // ---------------------------------------------------------------- finding and refusing

  #exchange(name: string): Exchange {
    const exchange = this.#exchanges.get(name);
    if (exchange === undefined)
      throw channelError('NOT_FOUND', `no exchange '${name}' in vhost '${this.name}'`);
    return exchange;
  }

  has(queueName: string): boolean {
    return this.#queues.has(queueName);
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
}

/** A name that nobody can guess, as the server gives queues. */
export function generatedName(prefix: string): string {
  return `${prefix}-${randomBytes(16).toString('base64url')}`;
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

/** Definitions that should be there are not. */
export function damaged(why: string): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `The journal's definitions are not whole: ${why}.`, {
    severity: 'broker',
    cure: 'Put definitions.json back, or let `nestmq repair` keep what can be read; nothing was thrown away.',
  });
}

// Front doors ask these before permissions, as RabbitMQ does.

export function assertNotReserved(kind: 'queue' | 'exchange', name: string): void {
  if (!name.startsWith('amq.')) return;
  throw channelError('ACCESS_REFUSED', `${kind} name '${name}' contains reserved prefix 'amq.*'`);
}

export function assertNotDefault(exchange: string): void {
  if (exchange !== DEFAULT_EXCHANGE) return;
  throw channelError('ACCESS_REFUSED', 'operation not permitted on the default exchange');
}

export function assertDeletable(exchange: string, vhost: string): void {
  assertNotDefault(exchange);
  if (!exchange.startsWith('amq.')) return;
  const text = `deletion of system exchange '${exchange}' in vhost '${vhost}' not allowed`;
  throw channelError('ACCESS_REFUSED', text);
}

export function assertExchangeType(type: string): asserts type is ExchangeType {
  if (isExchangeType(type)) return;
  throw connectionError('COMMAND_INVALID', `invalid exchange type '${type}'`);
}
