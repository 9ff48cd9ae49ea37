import { deadLetterQueueOf } from '../envelope.js';
import type { QueueHandlers } from '../handling/handler-table.js';
import { assertKeys, integer } from '../option-checks.js';
import { QueueNotFoundException } from '../queue.exceptions.js';
import { DeadLetters } from './dead-letters.js';
import { type QueuedMessage, queuedMessageOf } from './queued-message.js';
import type { Service } from './service.js';

/**
 * What a queue holds at a moment.
 *
 * @publicApi
 */
export interface QueueDepth {
  readonly name: string;
  /** Messages that wait. */
  readonly ready: number;
  /** Messages that are in handlers, here and elsewhere; undefined where the broker does not say. */
  readonly unsettled: number | undefined;
  /** Of all instances. */
  readonly consumers: number;
}

/**
 * A queue that handlers of this service get their messages from.
 *
 * @publicApi
 */
export interface ServiceQueue {
  readonly name: string;
  /** Undefined: there is no such queue; it was deleted. */
  readonly depth: QueueDepth | undefined;
  /** Of its handlers. */
  readonly patterns: readonly string[];
  /** Whether this instance has paused it. */
  readonly isPaused: boolean;
  /** Where its dead letters are, which may be more than one place. */
  readonly deadLetters: readonly QueueDepth[];
}

/**
 * Which messages of a queue are looked at, from its head.
 *
 * @publicApi
 */
export interface PeekOptions {
  /** Whole number, 1 to 1000. @default 20 */
  readonly limit?: number;
  /** How many to skip. Whole number, 0 to 10,000. @default 0 */
  readonly offset?: number;
}

/**
 * Looks into the queues of this service, and does what an operator does by hand. Inject it; it works from the
 * initialisation of the application until it is closed, and rejects with QueueUnavailableException else.
 *
 * @publicApi
 */
export class QueueAdmin {
  readonly #service: Service;

  /** @internal */
  constructor(service: Service) {
    this.#service = service;
  }

  /** The queues that handlers of this service get their messages from. */
  async queues(): Promise<readonly ServiceQueue[]> {
    const queues: ServiceQueue[] = [];
    for (const handlers of this.#service.handlers.queues) queues.push(await this.#describe(handlers));
    return queues;
  }

  async #describe(handlers: QueueHandlers): Promise<ServiceQueue> {
    const deadLetters: QueueDepth[] = [];
    for (const name of handlers.deadLetterQueues) {
      const depth = await this.#stateOf(name);
      if (depth !== undefined) deadLetters.push(depth);
    }
    return {
      name: handlers.queue,
      depth: await this.#stateOf(handlers.queue),
      patterns: [...new Set(handlers.all.map(({ pattern }) => pattern))],
      isPaused: this.#service.consumers.isPaused(handlers.queue),
      deadLetters,
    };
  }

  /** Any queue of the broker. Rejects with QueueNotFoundException when there is none of that name. */
  async depth(queue: string): Promise<QueueDepth> {
    const state = await this.#stateOf(queue);
    if (state === undefined) throw this.#unknown(queue);
    return state;
  }

  /**
   * The messages at the head of any queue of the broker, which stay in their places. They are marked as redelivered by
   * that, and out of reach of handlers for a moment. Rejects with QueueNotFoundException.
   */
  async peek(queue: string, options: PeekOptions = {}): Promise<readonly QueuedMessage[]> {
    assertKeys('peek', options, ['limit', 'offset']);
    const most = integer('limit', options.limit, 20, 1, 1000);
    const skipped = integer('offset', options.offset, 0, 0, 10_000);
    await this.depth(queue);
    const messages = await this.#service.link().peek(queue, skipped + most);
    return Promise.all(
      messages.slice(skipped).map(async (message) => queuedMessageOf(message, this.#service.wire)),
    );
  }

  /** Removes what waits in any queue of the broker; resolves with how many those were. Rejects with QueueNotFoundException. */
  async purge(queue: string): Promise<number> {
    await this.depth(queue);
    return this.#service.link().purgeQueue(queue);
  }

  /**
   * Stops the messages of a handler, named by its pattern, or of a queue. Handlers of one queue pause together: give
   * a handler a queue of its own to pause it alone. It counts for this instance, until it is resumed or restarted; what a
   * handler has already got is handled to its end. Idempotent. Throws QueueNotFoundException for what the service does not
   * handle.
   */
  pause(patternOrQueue: string): void {
    for (const { queue } of this.#handlersOf(patternOrQueue)) this.#service.consumers.pause(queue);
  }

  /** Resolves when messages come again. Idempotent. Throws as {@link pause}. */
  async resume(patternOrQueue: string): Promise<void> {
    for (const { queue } of this.#handlersOf(patternOrQueue)) await this.#service.consumers.resume(queue);
  }

  /** Whether all of its queues are paused in this instance. Throws as {@link pause}. */
  isPaused(patternOrQueue: string): boolean {
    return this.#handlersOf(patternOrQueue).every(({ queue }) => this.#service.consumers.isPaused(queue));
  }

  /**
   * Those of a queue of this service; of another queue those in `QUEUE.dead`. What it returns rejects with QueueNotFoundException
   * when there is neither of these.
   */
  deadLetters(queue: string): DeadLetters {
    const handlers = [...this.#service.handlers.queues].find((one) => one.queue === queue);
    if (handlers !== undefined) return new DeadLetters(this.#service, queue, handlers.deadLetterQueues);
    const name = deadLetterQueueOf(queue);
    return new DeadLetters(this.#service, queue, [name], async () => {
      if ((await this.#stateOf(name)) === undefined) await this.depth(queue);
    });
  }

  /** A queue of that name comes before a pattern; two queues may have handlers of one pattern. */
  #handlersOf(patternOrQueue: string): readonly QueueHandlers[] {
    const all = [...this.#service.handlers.queues];
    const named = all.filter(({ queue }) => queue === patternOrQueue);
    if (named.length > 0) return named;
    const handling = all.filter((one) => one.all.some(({ pattern }) => pattern === patternOrQueue));
    if (handling.length > 0) return handling;
    const patterns = all.flatMap((one) => one.all.map(({ pattern }) => pattern));
    const known = new Set([...all.map(({ queue }) => queue), ...patterns]);
    throw new QueueNotFoundException(`queue or pattern '${patternOrQueue}'`, [...known]);
  }

  async #stateOf(queue: string): Promise<QueueDepth | undefined> {
    return this.#service.link().queueState(queue);
  }

  #unknown(queue: string): QueueNotFoundException {
    const known = new Set<string>();
    for (const one of this.#service.handlers.queues)
      for (const name of [one.queue, ...one.deadLetterQueues]) known.add(name);
    return new QueueNotFoundException(`queue '${queue}'`, [...known]);
  }
}
