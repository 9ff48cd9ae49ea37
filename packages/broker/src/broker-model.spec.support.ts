import type { ExchangeType } from './definitions/definitions.js';
import { isPersistent, type Message } from './message/message.js';

/**
 * Binding keys. Each is a routing key too, one that of all of them only it matches, in a direct and in a topic
 * exchange: so what is bound can be told from what is routed.
 */
export const BINDING_KEYS = ['a.*', '*.b', 'c.#'] as const;
const MATCHES: Record<string, RegExp> = { 'a.*': /^a\.[^.]+$/, '*.b': /^[^.]+\.b$/, 'c.#': /^c(\..*)?$/ };
export const ROUTING_KEYS: readonly string[] = [...BINDING_KEYS, 'a.b', 'a.x', 'x.b', 'c', 'c.x.b', 'a.x.y'];

/** From which operation to which a thing is there. Operations are numbered. */
export interface Lifespan {
  readonly added: number;
  removed: number | undefined;
  /** Whether it can outlive a crash at all. */
  readonly survives: boolean;
}

export type Fate = 'must' | 'may' | 'must not';

/** Which operations are known to be durable. */
export class Steps {
  #begun = 0;
  #durableUpTo = 0;
  readonly #confirmed = new Set<number>();
  readonly #refused = new Set<number>();

  get begun(): number {
    return this.#begun;
  }

  begin(): number {
    return ++this.#begun;
  }

  confirm(step: number): void {
    this.#confirmed.add(step);
  }

  /** The engine said that it can't be known. */
  refuse(step: number): void {
    this.#refused.add(step);
  }

  confirmAll(upTo: number): void {
    this.#durableUpTo = Math.max(this.#durableUpTo, upTo);
  }

  isKnown(step: number): boolean {
    return !this.#refused.has(step) && (step <= this.#durableUpTo || this.#confirmed.has(step));
  }

  /** What of a thing a crash leaves. */
  fateOf({ added, removed, survives }: Lifespan): Fate {
    if (!survives || (removed !== undefined && this.isKnown(removed))) return 'must not';
    return removed === undefined && this.isKnown(added) ? 'must' : 'may';
  }
}

export interface ModelExchange extends Lifespan {
  readonly name: string;
  readonly type: ExchangeType;
  readonly autoDelete: boolean;
}

export interface ModelBinding extends Lifespan {
  readonly exchange: ModelExchange;
  readonly queue: ModelQueue;
  readonly key: string;
}

/** One message in one queue. */
export interface ModelMessage extends Lifespan {
  readonly queue: ModelQueue;
  readonly message: Message;
  /** Its place: of all publishes and moves that there were. */
  readonly order: number;
  ready: boolean;
  deliveredBefore: boolean;
  readonly counts: { readonly step: number; readonly count: number }[];
  /** What a move made of it. */
  movedTo: readonly ModelMessage[];
  /** All that the same publish or move put into queues. */
  readonly together: readonly ModelMessage[];
}

/** A queue from its declaration to its deletion: another one of the same name is another queue. */
export class ModelQueue implements Lifespan {
  /** All it ever had, in order. */
  readonly messages: ModelMessage[] = [];
  removed: number | undefined;
  consumers = 0;

  constructor(
    readonly name: string,
    readonly survives: boolean,
    readonly autoDelete: boolean,
    readonly added: number,
  ) {}

  get ready(): ModelMessage[] {
    return this.messages.filter((one) => one.ready && one.removed === undefined);
  }

  get unsettled(): ModelMessage[] {
    return this.messages.filter((one) => !one.ready && one.removed === undefined);
  }

  get firstReady(): ModelMessage | undefined {
    return this.messages.find((one) => one.ready && one.removed === undefined);
  }
}

/** What the engine must have: as it lives, and after a crash. */
export class BrokerModel {
  readonly steps: Steps = new Steps();
  /** All that there were since the engine was opened. */
  readonly allQueues: ModelQueue[] = [];
  readonly allExchanges: ModelExchange[] = [];
  readonly allBindings: ModelBinding[] = [];
  #order: number;

  constructor(order: number = 0) {
    this.#order = order;
    this.declareExchange('amq.topic', { type: 'topic', survives: true, autoDelete: false }, 0);
  }

  get order(): number {
    return this.#order;
  }

  get queues(): ModelQueue[] {
    return this.allQueues.filter(isThere);
  }

  get exchanges(): ModelExchange[] {
    return this.allExchanges.filter(isThere);
  }

  get bindings(): ModelBinding[] {
    return this.allBindings.filter(isThere);
  }

  queue(name: string): ModelQueue | undefined {
    return this.queues.find((one) => one.name === name);
  }

  exchange(name: string): ModelExchange | undefined {
    return this.exchanges.find((one) => one.name === name);
  }

  declareQueue(
    name: string,
    { survives, autoDelete }: { readonly survives: boolean; readonly autoDelete: boolean },
    step: number,
  ): ModelQueue {
    const queue = new ModelQueue(name, survives, autoDelete, step);
    this.allQueues.push(queue);
    return queue;
  }

  removeQueue(queue: ModelQueue, step: number): void {
    queue.removed = step;
    for (const one of queue.messages) one.removed ??= step;
    for (const binding of this.bindings) if (binding.queue === queue) this.unbind(binding, step);
  }

  declareExchange(
    name: string,
    init: Pick<ModelExchange, 'type' | 'survives' | 'autoDelete'>,
    step: number,
  ): ModelExchange {
    const exchange = { ...init, name, added: step, removed: undefined };
    this.allExchanges.push(exchange);
    return exchange;
  }

  removeExchange(exchange: ModelExchange, step: number): void {
    exchange.removed = step;
    for (const one of this.bindings) if (one.exchange === exchange) one.removed = step;
  }

  bind(exchange: ModelExchange, queue: ModelQueue, key: string, step: number): void {
    if (this.binding(exchange, queue, key) !== undefined) return;
    const survives = exchange.survives && queue.survives;
    this.allBindings.push({ exchange, queue, key, survives, added: step, removed: undefined });
  }

  binding(exchange: ModelExchange, queue: ModelQueue, key: string): ModelBinding | undefined {
    return this.bindings.find((one) => one.exchange === exchange && one.queue === queue && one.key === key);
  }

  unbind(binding: ModelBinding, step: number): void {
    binding.removed = step;
    const { exchange } = binding;
    if (!exchange.autoDelete || this.bindings.some((one) => one.exchange === exchange)) return;
    exchange.removed = step;
  }

  /** Undefined: there is no such exchange. */
  route(exchangeName: string, key: string): ModelQueue[] | undefined {
    if (exchangeName === '') return this.queues.filter(({ name }) => name === key);
    const exchange = this.exchange(exchangeName);
    if (exchange === undefined) return undefined;
    const bound = this.bindings.filter((one) => one.exchange === exchange && matches(one, key));
    return [...new Set(bound.map(({ queue }) => queue))];
  }

  add(queues: readonly ModelQueue[], message: Message, step: number): ModelMessage[] {
    const order = ++this.#order;
    const together: ModelMessage[] = [];
    for (const queue of queues) {
      const survives = queue.survives && isPersistent(message);
      together.push(newMessage({ queue, message, order, survives, added: step, together }));
    }
    for (const one of together) one.queue.messages.push(one);
    return together;
  }

  requeue(one: ModelMessage, failed: boolean, isCounted: boolean): void {
    one.ready = true;
    if (isCounted) this.count(one, -1);
    if (failed) this.count(one, 1);
  }

  count(one: ModelMessage, more: 1 | -1): void {
    one.counts.push({ step: this.steps.begin(), count: countOf(one) + more });
  }
}

export function newMessage(
  init: Pick<ModelMessage, 'queue' | 'message' | 'order' | 'survives' | 'added' | 'together'>,
): ModelMessage {
  return { ...init, removed: undefined, ready: true, deliveredBefore: false, counts: [], movedTo: [] };
}

/** How often it was given back as failed, or counted before. */
export function countOf(one: ModelMessage): number {
  return one.counts.at(-1)?.count ?? 0;
}

export function idOf({ properties }: Pick<Message, 'properties'>): string {
  return properties.messageId ?? '?';
}

function isThere({ removed }: Lifespan): boolean {
  return removed === undefined;
}

function matches({ exchange, key }: ModelBinding, routingKey: string): boolean {
  if (exchange.type === 'fanout') return true;
  return exchange.type === 'direct' ? key === routingKey : (MATCHES[key]?.test(routingKey) ?? false);
}
