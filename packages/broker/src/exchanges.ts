import type { Clock } from './clock.js';
import {
  type DefinitionKey,
  encodeKey,
  type ExchangeDefinition,
  type ExchangeType,
} from './definitions/definitions.js';
import type { DelayQueues } from './delay-queues.js';
import { channelError } from './errors.js';
import {
  ALTERNATE_EXCHANGE,
  type Binding,
  type Destination,
  Exchange,
  type ExchangeInit,
} from './exchange.js';
import { assertExchangeType, DELAYED_MESSAGE } from './exchange-types.js';
import { type Arguments, argumentsFrom, argumentsOf, NO_ARGUMENTS } from './message/arguments.js';
import type { Routable } from './message/copy-keys.js';
import { assertEquivalentArgument } from './message/equivalent-argument.js';
import { type Field, typeOf } from './message/fields.js';
import type { FieldTable } from './message/message.js';
import type { Target } from './queue/delay-queue.js';
import type { Queue } from './queue/queue.js';
import {
  assertDeletable,
  assertEquivalent,
  assertNotDefault,
  assertNotReserved,
  assertShortString,
  damagedDefinitions,
  notFound,
  preconditionFailed,
} from './refusals.js';
import { routeOn } from './route.js';
import type { Admission } from './routing/seen-ids.js';
import type { MessageStore } from './store/message-store.js';

/** Of {@link Connection.declareExchange}. Declared again it must be the same (PRECONDITION_FAILED). */
export interface ExchangeOptions {
  readonly type: ExchangeType;
  /** Survives a restart. @default true */
  readonly durable?: boolean;
  /** Deleted when its last binding goes, after it had one. @default false */
  readonly autoDelete?: boolean;
  /** Refuses what is published to it: messages come from other exchanges, or as dead letters. @default false */
  readonly internal?: boolean;
  /**
   * `alternate-exchange`, `hash-header`, …; others mean nothing and are kept. A buffer is a field table as it is on the
   * wire. @default none
   */
  readonly arguments?: FieldTable | Buffer;
}

/** A binding, as it is asked for. */
export interface BindingInit<T> {
  readonly source: string;
  readonly destination: T;
  readonly key: string;
  /** Two bindings that differ in them are two. A buffer is a field table as it is on the wire. */
  readonly arguments?: FieldTable | Buffer | undefined;
}

export interface ExchangesEnvironment {
  readonly store: MessageStore;
  readonly clock: Clock;
  /** Numbers from 0 to 1, without 1. */
  readonly random: () => number;
  /** Where exchanges hold what they delay. */
  readonly delayQueues: DelayQueues;
}

export const DEFAULT_EXCHANGE = '';
/** Exchanges that are there without a definition. */
export const PREDECLARED: readonly [string, ExchangeType][] = [
  [DEFAULT_EXCHANGE, 'direct'],
  ['amq.direct', 'direct'],
  ['amq.fanout', 'fanout'],
  ['amq.topic', 'topic'],
  ['amq.headers', 'headers'],
  ['amq.match', 'headers'],
];

/** The exchanges of a virtual host, their bindings, and where a message goes. */
export class Exchanges {
  readonly #vhost: string;
  readonly #environment: ExchangesEnvironment;
  readonly #exchanges = new Map<string, Exchange>();
  /** Ids let through by deduplication for messages that are routed and not yet stored. */
  #admissions: Admission[] = [];

  constructor(vhost: string, environment: ExchangesEnvironment) {
    this.#vhost = vhost;
    this.#environment = environment;
    for (const [name, type] of PREDECLARED) {
      const args = NO_ARGUMENTS;
      this.#add(this.#make({ name, type, durable: true, autoDelete: false, internal: false, args }));
    }
  }

  #make(init: ExchangeInit): Exchange {
    const { clock, random } = this.#environment;
    const onAdmission = (admission: Admission): void => void this.#admissions.push(admission);
    return new Exchange(init, { clock, random, nameOf, onAdmission }, this.#at(init.name));
  }

  #add(exchange: Exchange): void {
    if (exchange.init.type === DELAYED_MESSAGE)
      exchange.delayIn(this.#environment.delayQueues.of(exchange.init));
    this.#exchanges.set(exchange.name, exchange);
  }

  // ---------------------------------------------------------------- declaring

  /** What the store had. */
  restore(
    name: string,
    { type, autoDelete, internal = false, arguments: id = '' }: ExchangeDefinition,
  ): void {
    const args = argumentsFrom(id);
    this.#add(this.#make({ name, type, durable: true, autoDelete, internal, args }));
  }

  /** Returns the exchange if it is new. Of a type that is there: throws COMMAND_INVALID for others. */
  declare(name: string, options: ExchangeOptions): Exchange | undefined {
    assertExchangeType(options.type);
    assertNotDefault(name);
    const { type, durable = true, autoDelete = false, internal = false } = options;
    const init = { name, type, durable, autoDelete, internal, args: argumentsOf(options.arguments) };
    const existing = this.#exchanges.get(name);
    if (existing === undefined) return this.#declareNew(init);
    this.#assertEquivalent(init, existing);
    return undefined;
  }

  #declareNew(init: ExchangeInit): Exchange {
    const { name, type, durable, autoDelete, internal, args } = init;
    assertNotReserved('exchange', name);
    assertShortString('exchange name', name);
    const alternate = fieldOf(args, ALTERNATE_EXCHANGE);
    if (alternate !== undefined && typeOf(alternate) !== 'longstr') {
      const text = `invalid type '${typeOf(alternate)}' for arg '${ALTERNATE_EXCHANGE}' in ${this.#at(name)}`;
      throw channelError('PRECONDITION_FAILED', text);
    }
    const exchange = this.#make(init);
    if (durable) {
      this.#define(['exchange', this.#vhost, name], {
        type,
        autoDelete,
        ...(internal ? { internal } : {}),
        ...(args.id === '' ? {} : { arguments: args.id }),
      });
    }
    this.#add(exchange);
    return exchange;
  }

  /** Of the arguments only the alternate exchange is compared, as in RabbitMQ. */
  #assertEquivalent(received: ExchangeInit, { init: current }: Exchange): void {
    const at = this.#at(received.name);
    assertEquivalent('type', received.type, current.type, at);
    assertEquivalent('durable', received.durable, current.durable, at);
    assertEquivalent('auto_delete', received.autoDelete, current.autoDelete, at);
    assertEquivalent('internal', received.internal, current.internal, at);
    const name = ALTERNATE_EXCHANGE;
    assertEquivalentArgument(name, fieldOf(received.args, name), fieldOf(current.args, name), at);
  }

  get(name: string): Exchange | undefined {
    return this.#exchanges.get(name);
  }

  all(): Iterable<Exchange> {
    return this.#exchanges.values();
  }

  /** Removes those that were declared, from the disk as well, and their bindings. */
  clear(): void {
    for (const exchange of this.#exchanges.values()) {
      if (!PREDECLARED.some(([name]) => name === exchange.name)) this.#remove(exchange);
      else for (const binding of exchange.bindings()) this.#defineBinding(exchange, binding, null);
    }
  }

  /** Throws NOT_FOUND (AMQP 0-9-1, `exchange.declare` with `passive`). */
  check(name: string): void {
    assertNotDefault(name);
    this.#get(name);
  }

  /** Also removes all bindings that it is an end of. One that is not there is not an error (RabbitMQ since 3.2). */
  delete(name: string, ifUnused: boolean): void {
    assertDeletable(name, this.#vhost);
    const exchange = this.#exchanges.get(name);
    if (exchange === undefined) return;
    if (exchange.durable || this.isNamedOnDisk(exchange)) this.#assertWritable();
    if (ifUnused && exchange.isBound) throw preconditionFailed('exchange', name, this.#vhost, 'in use');
    this.#remove(exchange);
  }

  /** Its bindings go before it does, so that none is left behind by a crash. */
  #remove(exchange: Exchange): void {
    if (!this.#exchanges.delete(exchange.name)) return;
    for (const binding of exchange.bindings()) this.#defineBinding(exchange, binding, null);
    this.unbindAll(exchange);
    if (exchange.delays !== undefined) this.#environment.delayQueues.remove(exchange.delays);
    if (exchange.durable) this.#define(['exchange', this.#vhost, exchange.name], null);
  }

  // ---------------------------------------------------------------- binding

  /** The exchange. Throws NOT_FOUND, and ACCESS_REFUSED for the default exchange. */
  find(name: string): Exchange {
    assertNotDefault(name);
    return this.#get(name);
  }

  /** Every queue is bound to the default exchange, by its name, as long as it is there. */
  bindToDefault(queue: Queue): void {
    this.#get(DEFAULT_EXCHANGE).bind({ destination: queue, key: queue.name, args: NO_ARGUMENTS });
  }

  /** Throws NOT_FOUND, and what the exchange's type throws. */
  bind({ source, destination, key, arguments: table }: BindingInit<Destination>): void {
    const exchange = this.find(source);
    assertShortString('binding key', key);
    const args = argumentsOf(table);
    if (exchange.find(destination, key, args) !== undefined) return;
    exchange.kind.checkBinding(key, args.fields);
    const binding = { destination, key, args };
    this.#defineBinding(exchange, binding, {});
    exchange.bind(binding);
  }

  /** A binding, a destination or an exchange that is not there is not an error (RabbitMQ since 3.2). */
  unbind({ source, destination, key, arguments: table }: BindingInit<Destination | undefined>): void {
    assertNotDefault(source);
    const exchange = this.#exchanges.get(source);
    if (exchange === undefined || destination === undefined) return;
    const binding = exchange.find(destination, key, argumentsOf(table));
    if (binding === undefined) return;
    // Before the first of several steps, so that none is taken when the last would be refused.
    if (exchange.durable) this.#assertWritable();
    exchange.unbind(binding);
    this.#defineBinding(exchange, binding, null);
    this.#deleteIfUnbound(exchange);
  }

  unbindExchange(init: BindingInit<string>): void {
    assertNotDefault(init.destination);
    this.unbind({ ...init, destination: this.#exchanges.get(init.destination) });
  }

  /** A binding that the store had. Throws JOURNAL_DAMAGED. */
  restoreBinding([kind, , source, name, key, id = '']: BindingKey, queue: Queue | undefined): void {
    const exchange = this.#exchanges.get(source);
    const destination = kind === 'binding' ? queue : this.#exchanges.get(name);
    if (exchange === undefined || destination === undefined) {
      const other = `the ${kind === 'binding' ? 'queue' : 'exchange'} '${name}'`;
      throw damagedDefinitions(
        `a binding names the exchange '${source}' and ${other}, of which one is not there`,
      );
    }
    exchange.bind({ destination, key, args: argumentsFrom(id) });
  }

  /** The destination goes, and with it exchanges that live by their bindings. */
  unbindAll(destination: Destination): void {
    for (const exchange of this.#exchanges.values()) {
      const gone = exchange.unbindAll(destination);
      if (gone.length === 0 || exchange.name === DEFAULT_EXCHANGE) continue;
      for (const binding of gone) this.#defineBinding(exchange, binding, null);
      this.#deleteIfUnbound(exchange);
    }
  }

  /** With a failed store a durable one stays, as it does on the disk: nobody is there to be told. */
  #deleteIfUnbound(exchange: Exchange): void {
    if (!exchange.init.autoDelete || exchange.isBound) return;
    if (exchange.durable && this.#environment.store.failure !== undefined) return;
    this.#remove(exchange);
  }

  /** Whether an exchange on the disk may go with this destination, since that was its last binding. */
  isNamedOnDisk(destination: Destination, seen: Set<Destination> = new Set()): boolean {
    seen.add(destination);
    return [...this.#exchanges.values()].some(
      (one) =>
        one.init.autoDelete &&
        !seen.has(one) &&
        one.leadsTo(destination) &&
        (one.durable || this.isNamedOnDisk(one, seen)),
    );
  }

  /** What is durable at both ends is. */
  #defineBinding(source: Exchange, { destination, key, args }: Binding, value: object | null): void {
    const isExchange = destination instanceof Exchange;
    const isDurable = isExchange ? destination.durable : destination.init.durable;
    if (!source.durable || !isDurable) return;
    const kind = isExchange ? 'exchange-binding' : 'binding';
    const ends = [kind, this.#vhost, source.name, destination.name, key] as const;
    this.#define(args.id === '' ? ends : [...ends, args.id], value);
  }

  // ---------------------------------------------------------------- routing

  /** Throws NOT_FOUND, and ACCESS_REFUSED for one that is internal: nobody may publish to it. */
  forPublishing(name: string): Exchange {
    const exchange = this.#get(name);
    if (!exchange.init.internal) return exchange;
    throw channelError(
      'ACCESS_REFUSED',
      `cannot publish to internal exchange '${name}' in vhost '${this.#vhost}'`,
    );
  }

  /**
   * The queues that a message goes to from an exchange, each once: by its routing key and `copyKeys`, on through
   * exchanges that are bound, and to alternate exchanges where there is no binding that matches.
   */
  route(from: Exchange, message: Routable, copyKeys: readonly string[] | undefined): ReadonlySet<Target> {
    assertShortString('routing key', message.routingKey);
    // Most go this way: nothing is made for a message. No exchange is among the destinations.
    if (from.isLast && copyKeys === undefined)
      return from.route(message.routingKey, message) as ReadonlySet<Queue>;
    const keys = [message.routingKey, ...(copyKeys ?? [])];
    return routeOn(from, keys, message, (name) => this.#exchanges.get(name));
  }

  /** As {@link route}; undefined when there is no exchange of this name. */
  routeFrom(name: string, message: Routable, copyKeys?: readonly string[]): ReadonlySet<Target> | undefined {
    const exchange = this.#exchanges.get(name);
    return exchange && this.route(exchange, message, copyKeys);
  }

  /** What was let through by deduplication since the last call is to be stored now; undefined: nothing was. */
  takeAdmissions(): readonly Admission[] | undefined {
    if (this.#admissions.length === 0) return undefined;
    const admissions = this.#admissions;
    this.#admissions = [];
    return admissions;
  }

  // ---------------------------------------------------------------- finding and refusing

  #get(name: string): Exchange {
    const exchange = this.#exchanges.get(name);
    if (exchange === undefined) throw notFound('exchange', name, this.#vhost);
    return exchange;
  }

  #at(name: string): string {
    return `exchange '${name}' in vhost '${this.#vhost}'`;
  }

  #assertWritable(): void {
    if (this.#environment.store.failure !== undefined) throw this.#environment.store.failure;
  }

  #define(key: DefinitionKey, value: object | null): void {
    this.#environment.store.define(encodeKey(key), value);
  }
}

type BindingKey = Extract<DefinitionKey, readonly ['binding' | 'exchange-binding', ...unknown[]]>;

function fieldOf({ fields }: Arguments, name: string): Field | undefined {
  return fields.find((one) => one.name === name);
}

function nameOf(destination: Destination): string {
  return `${destination instanceof Exchange ? 'exchange' : 'queue'} ${destination.name}`;
}
