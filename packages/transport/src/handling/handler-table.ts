import type { MessageHandler } from '@nestjs/microservices';
import { TopicRouter } from '@nestmq/broker';
import { deadLetterQueueOf } from '../envelope.js';
import { assertNotContradicted } from '../handler-extras.js';
import type { HandlerDefaults, HandlerOptions, HandlerPolicy } from '../handler.options.js';
import { normaliseHandlerOptions } from '../handler.options.js';
import type { QueueDeclaration } from '../links/link.js';
import type { QueueWitness } from '../observability/witness.js';
import { QueueOptionsException } from '../queue.exceptions.js';
import { interruptible } from './interruptible.js';

/** One decorated method under one of its patterns. */
export interface RegisteredHandler {
  /** The same after a restart: its pattern, and its place among those of the same pattern and queue. */
  readonly id: string;
  readonly pattern: string;
  readonly isEvent: boolean;
  readonly handle: MessageHandler;
  readonly policy: HandlerPolicy;
}

/** What handlers of one queue must agree upon, since it is the queue's. */
const OF_THE_QUEUE = ['prefetchCount', 'noAck', 'priority'] as const;

/** The handlers that get their messages from one queue. */
export class QueueHandlers {
  readonly #events = new TopicRouter<RegisteredHandler>();
  readonly #requests = new TopicRouter<RegisteredHandler>();
  readonly #exactRequests = new Map<string, RegisteredHandler>();
  readonly #all: RegisteredHandler[] = [];
  readonly eventPatterns: Set<string> = new Set();
  readonly requestPatterns: Set<string> = new Set();
  /** The router's answers as lists: it gives the same set for a routing key that it knows. */
  readonly #lists = new WeakMap<ReadonlySet<RegisteredHandler>, readonly RegisteredHandler[]>();

  constructor(readonly queue: string) {}

  get all(): readonly RegisteredHandler[] {
    return this.#all;
  }

  get prefetchCount(): number {
    return this.#first.prefetchCount;
  }

  get noAck(): boolean {
    return this.#first.noAck;
  }

  /** Whether one of its handlers keeps an order: then one instance at a time gets its messages. */
  get isOrdered(): boolean {
    return this.#all.some(({ policy }) => policy.orderingKey !== undefined);
  }

  /** Where what names no handler goes, and what a broker gives up. */
  get deadLetterQueue(): string {
    return (
      this.#all.find(({ policy }) => policy.deadLetterQueue !== undefined)?.policy.deadLetterQueue ??
      deadLetterQueueOf(this.queue)
    );
  }

  /** Of all its handlers. */
  get deadLetterQueues(): ReadonlySet<string> {
    const queues = this.#all.map(({ policy }) => policy.deadLetterQueue).filter((name) => name !== undefined);
    return new Set([this.deadLetterQueue, ...queues]);
  }

  get declaration(): QueueDeclaration {
    const { priority } = this.#first;
    return {
      deadLetterQueue: this.deadLetterQueue,
      ...(priority === undefined ? {} : { maxPriority: priority }),
      singleActiveConsumer: this.isOrdered,
    };
  }

  get #first(): HandlerPolicy {
    return (this.#all[0] as RegisteredHandler).policy;
  }

  /** Throws QueueOptionsException when the handler wants the queue to be other than those before. */
  add(pattern: string, handle: MessageHandler, isEvent: boolean, policy: HandlerPolicy): void {
    const place = this.#all.filter((other) => other.pattern === pattern).length;
    const handler = { id: `${pattern}@${place}`, pattern, isEvent, handle, policy };
    this.#all.push(handler);
    for (const key of OF_THE_QUEUE) this.#assertAgreed(key, handler);
    if (isEvent) {
      this.#events.bind(pattern, handler);
      this.eventPatterns.add(pattern);
    } else {
      this.#requests.bind(pattern, handler);
      this.#exactRequests.set(pattern, handler);
      this.requestPatterns.add(pattern);
    }
  }

  #assertAgreed(key: (typeof OF_THE_QUEUE)[number], { pattern, policy }: RegisteredHandler): void {
    const first = this.#all[0] as RegisteredHandler;
    if (policy[key] === first.policy[key]) return;
    throw new QueueOptionsException(
      `The handlers of '${first.pattern}' and '${pattern}' get their messages from the queue '${this.queue}', but want another ${key} (${String(first.policy[key])}, ${String(policy[key])}).`,
      'Give both the same, or one of them a queue of its own.',
    );
  }

  /** All handlers of an event: exact and wildcards, each once. */
  forEvent(routingKey: string): readonly RegisteredHandler[] {
    const matching = this.#events.route(routingKey);
    let list = this.#lists.get(matching);
    if (list === undefined) this.#lists.set(matching, (list = [...matching]));
    return list;
  }

  /** The one handler of a request: the exact one, else the first wildcard. */
  forRequest(routingKey: string): RegisteredHandler | undefined {
    return this.#exactRequests.get(routingKey) ?? [...this.#requests.route(routingKey)][0];
  }
}

/** Handlers by the queue that they get their messages from. */
export class HandlerTable {
  readonly #queues = new Map<string, QueueHandlers>();
  readonly #requests = new Set<string>();

  constructor(
    private readonly defaults: HandlerDefaults,
    private readonly witness?: QueueWitness,
  ) {}

  get queues(): Iterable<QueueHandlers> {
    return this.#queues.values();
  }

  /** Where handlers' messages are given up to, but for queues that handlers get messages from. */
  get deadLetterQueues(): ReadonlySet<string> {
    const queues = new Set<string>();
    for (const handlers of this.#queues.values())
      for (const name of handlers.deadLetterQueues) if (!this.#queues.has(name)) queues.add(name);
    return queues;
  }

  /** Throws QueueOptionsException for extras that can't be meant. */
  add(pattern: string, handle: MessageHandler, isEvent: boolean, extras: HandlerOptions): void {
    const where = `the handler of '${pattern}'`;
    assertNotContradicted(where, extras);
    const policy = normaliseHandlerOptions(where, extras, this.defaults);
    if (!isEvent) this.#assertRequest(pattern, policy);
    if (policy.schedule !== undefined) assertOnePattern(pattern);
    let handlers = this.#queues.get(policy.queue);
    if (handlers === undefined) this.#queues.set(policy.queue, (handlers = new QueueHandlers(policy.queue)));
    const { witness } = this;
    handlers.add(pattern, witness === undefined ? handle : interruptible(handle, witness), isEvent, policy);
  }

  /** How many handlers there are. */
  get size(): number {
    let size = 0;
    for (const { all } of this.#queues.values()) size += all.length;
    return size;
  }

  /** A handler of an event or of a request with that routing key. */
  find(routingKey: string): MessageHandler | undefined {
    for (const handlers of this.#queues.values()) {
      const found = handlers.forRequest(routingKey) ?? handlers.forEvent(routingKey)[0];
      if (found !== undefined) return found.handle;
    }
    return undefined;
  }

  #assertRequest(pattern: string, { batch, schedule, deduplication }: HandlerPolicy): void {
    if (this.#requests.has(pattern)) {
      throw new QueueOptionsException(
        `Two handlers answer '${pattern}'.`,
        'A request has one answer: give one of them another pattern, or make it an @EventPattern.',
      );
    }
    this.#requests.add(pattern);
    if (batch === undefined && schedule === undefined && deduplication === undefined) return;
    throw new QueueOptionsException(
      `The handler of '${pattern}' answers requests, and has a batch, a schedule or deduplication.`,
      'Those are for @EventPattern.',
    );
  }
}

/** What is emitted by schedule has a pattern of its own. */
function assertOnePattern(pattern: string): void {
  if (!pattern.split('.').some((word) => word === '*' || word === '#')) return;
  throw new QueueOptionsException(
    `The handler of '${pattern}' has a schedule, and a pattern with wildcards.`,
    'Give it a pattern that is one event.',
  );
}
