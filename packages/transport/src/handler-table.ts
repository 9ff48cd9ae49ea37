import type { MessageHandler } from '@nestjs/microservices';
import { TopicRouter } from '@nestmq/broker';
import {
  type HandlerOptions,
  normaliseHandlerOptions,
  type NormalisedQueueOptions,
} from './queue.options.js';

/** One decorated method under one of its patterns. */
export interface RegisteredHandler {
  /** The same after a restart of the same code: its pattern, and its place among those of the same pattern. */
  readonly id: string;
  readonly pattern: string;
  readonly handle: MessageHandler;
  readonly attempts: number;
}

/** The handlers that get their messages from one queue. */
export class QueueHandlers {
  readonly #events = new TopicRouter<RegisteredHandler>();
  readonly #requests = new TopicRouter<RegisteredHandler>();
  readonly #exactRequests = new Map<string, RegisteredHandler>();
  readonly eventPatterns: Set<string> = new Set();
  readonly requestPatterns: Set<string> = new Set();
  /** The router's answers as lists: it gives the same set for a routing key that it knows. */
  readonly #lists = new WeakMap<ReadonlySet<RegisteredHandler>, readonly RegisteredHandler[]>();
  #registered = 0;

  constructor(readonly queue: string) {}

  add(pattern: string, handle: MessageHandler, isEventHandler: boolean, attempts: number): void {
    const handler = { id: `${pattern}@${this.#registered++}`, pattern, handle, attempts };
    if (isEventHandler) {
      this.#events.bind(pattern, handler);
      this.eventPatterns.add(pattern);
    } else {
      this.#requests.bind(pattern, handler);
      this.#exactRequests.set(pattern, handler);
      this.requestPatterns.add(pattern);
    }
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

  constructor(private readonly defaults: Pick<NormalisedQueueOptions, 'queue' | 'attempts'>) {}

  get queues(): Iterable<QueueHandlers> {
    return this.#queues.values();
  }

  /** Throws QueueOptionsException for extras that can't be meant. */
  add(pattern: string, handle: MessageHandler, isEventHandler: boolean, extras: HandlerOptions): void {
    const { queue, attempts } = normaliseHandlerOptions(pattern, extras, this.defaults);
    let handlers = this.#queues.get(queue);
    if (handlers === undefined) this.#queues.set(queue, (handlers = new QueueHandlers(queue)));
    handlers.add(pattern, handle, isEventHandler, attempts);
  }
}
