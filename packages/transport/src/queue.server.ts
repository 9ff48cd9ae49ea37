import { isNativeError } from 'node:util/types';
import { type MessageHandler, Server } from '@nestjs/microservices';
import type { Timer } from '@nestmq/broker';
import { finalize } from 'rxjs';
import { describeError } from './describe-error.js';
import { EventListeners } from './event-listeners.js';
import type { Service } from './admin/service.js';
import { QUEUE_TRANSPORT } from './queue.constants.js';
import type { Background } from './handling/background.js';
import { Consumers } from './handling/consumers.js';
import { flushWithin } from './handling/flush-within.js';
import { HandlerQueues } from './handling/handler-queues.js';
import { HandlerTable, type QueueHandlers, type RegisteredHandler } from './handling/handler-table.js';
import { Inbox } from './handling/inbox.js';
import { QueueConsumer, type QueueConsumerInit } from './handling/queue-consumer.js';
import { withProcessingHooks } from './handling/processing.js';
import { Running } from './handling/running.js';
import { Schedules } from './handling/schedules.js';
import { recordThrownErrors } from './handling/thrown-error.recorder.js';
import type { HandlerOptions } from './handler.options.js';
import type { Link, LinkListener, QueueDeclaration } from './links/link.js';
import { openLink } from './links/open-link.js';
import { handlingObserver } from './handling/handling-observer.js';
import { loadObservers, type Observers } from './observability/observers.js';
import { routingKeyOf } from './pattern.js';
import { QueueUnavailableException } from './queue.exceptions.js';
import { normaliseQueueOptions, type NormalisedQueueOptions, type QueueOptions } from './queue.options.js';
import { Wire } from './wire/wire.js';

/**
 * `draining`: intake has stopped, handlers that run are awaited. `disconnected`: closed, or the broker is away.
 *
 * @publicApi
 */
export type QueueStatus = 'connected' | 'draining' | 'disconnected';

/**
 * What {@link QueueServer.on} can listen to. `error`: a queue was deleted under its consumer, the broker failed, or what
 * is there differs from what is declared. `blocked`: the broker takes no publishes, and why.
 *
 * @publicApi
 */
// A type, since Nest wants an index signature.
export type QueueEvents = {
  /** What is wrong that no handler and no caller is told of. */
  error: (error: Error) => void;
  /** Connected, for the first time or again. */
  connect: () => void;
  /** The connection is lost; it is made again. */
  disconnect: (error: Error) => void;
  /** The broker takes no publishes now; they wait. */
  blocked: (reason: string) => void;
  /** It takes them again. */
  unblocked: () => void;
};

/** How long the broker may take to confirm what was settled before the service stops. Milliseconds. */
const FLUSH_MS_MAX = 5000;

/**
 * The strategy that hands messages to decorated handlers:
 * `app.connectMicroservice({ strategy: app.get(QueueServer) })`.
 *
 * A success acks. A failed event is tried again by its handler's policy until its attempts are used up, then goes to
 * `QUEUE.dead` with the error; each of several handlers of one event on its own. A failed request is answered with the
 * error. Nothing is dropped: what has no handler or can't be read is dead-lettered.
 *
 * @publicApi
 */
export class QueueServer extends Server<QueueEvents, QueueStatus> {
  override transportId: symbol = QUEUE_TRANSPORT;
  /** Failures are observed, retried and logged here; Nest need not log them again. */
  override readonly propagatesEventHandlerErrors: boolean = true;

  readonly #options: NormalisedQueueOptions;
  readonly #handlers: HandlerTable;
  readonly #queues: HandlerQueues;
  readonly #running = new Running();
  readonly #wire: Wire;
  readonly #listeners = new EventListeners<QueueEvents>(this.logger);
  readonly #consumers = new Consumers();
  #observers: Observers | undefined;
  #inbox: Inbox | undefined;
  #background: readonly Background[] = [];
  #link: Link | undefined;
  /** Why the broker can't be reached now, if so. */
  #away: Error | undefined;
  readonly #opening = new AbortController();
  #preparing: Promise<void> | undefined;
  #listening: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Whether somebody wants to know when handlers start and end. */
  #hooked = false;
  #keepAlive: NodeJS.Timeout | undefined;
  #graceTimer: Timer | undefined;

  /** Throws QueueOptionsException for options that can't be meant. */
  constructor(options: QueueOptions) {
    super();
    recordThrownErrors();
    this.#options = normaliseQueueOptions(options);
    this.#wire = new Wire(this.#options.wire);
    this.#handlers = new HandlerTable(this.#options.handlers, this.#options.witness);
    this.#queues = new HandlerQueues({
      handlers: this.#handlers,
      queueArguments: this.#options.queueArguments,
      report: (error) => this.#report(error),
    });
  }

  // ---------------------------------------------------------------- Nest's contract

  /** Throws QueueOptionsException for a pattern or extras that can't be meant. */
  override addHandler(
    pattern: unknown,
    callback: RegisteredHandler['handle'],
    isEventHandler = false,
    extras: HandlerOptions = {},
  ): void {
    const route = routingKeyOf(pattern, this.normalizePattern(pattern as string));
    callback.isEventHandler = isEventHandler;
    callback.extras = extras as Record<string, unknown>;
    // Not chained by `next` as the base class does: handlers of one event settle on their own.
    this.messageHandlers.set(route, callback);
    this.#handlers.add(route, callback, isEventHandler, extras);
  }

  /** The handler of an event or of a request: the exact one, else one whose wildcards match. Null when there is none. */
  override getHandlerByPattern(pattern: string): MessageHandler | null {
    return (
      super.getHandlerByPattern(pattern) ?? this.#handlers.find(this.getRouteFromPattern(pattern)) ?? null
    );
  }

  /** Calls back once: when every queue is consumed, or with the error that prevents it. */
  listen(callback: (error?: unknown) => void): void {
    this.#listening ??= this.#listen();
    this.#listening.then(
      () => callback(),
      (error: unknown) => callback(error),
    );
  }

  override setOnProcessingStartHook(hook: Parameters<Server['setOnProcessingStartHook']>[0]): void {
    this.#hooked = true;
    super.setOnProcessingStartHook(hook);
  }

  override setOnProcessingEndHook(hook: Parameters<Server['setOnProcessingEndHook']>[0]): void {
    this.#hooked = true;
    super.setOnProcessingEndHook(hook);
  }

  /** May be called before {@link listen}. What a listener throws is logged. */
  override on<K extends keyof QueueEvents>(event: K, callback: QueueEvents[K]): void {
    this.#listeners.add(event, callback);
  }

  /** The link to the broker. Throws before {@link listen}. */
  override unwrap<T>(): T {
    if (this.#link === undefined) {
      throw new Error(
        'Not initialized. Please call the "listen"/"startAllMicroservices" method before accessing the server.',
      );
    }
    return this.#link as T;
  }

  /** Drains, then lets go of the broker. Idempotent; may be called before listening has come to an end. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** What QueueAdmin and QueueHealthIndicator work on. @internal */
  get service(): Service {
    return {
      link: () => this.#requireLink(),
      away: () => this.#away,
      isListening: () => this.#listening !== undefined && this.#draining === undefined,
      handlers: this.#handlers,
      consumers: this.#consumers,
      wire: this.#wire,
      clock: this.#options.clock,
    };
  }

  /** How often a handler with `deduplication` did not get a message, since it had had it. */
  get duplicateCount(): number {
    return this.#inbox?.duplicateCount ?? 0;
  }

  // ---------------------------------------------------------------- starting and stopping

  /**
   * Opens the broker and declares the queues of all handlers that were added, without taking messages yet: what is
   * emitted from then on is kept. `listen` does it too; QueueModule does it first of all when the application is
   * initialised. Idempotent.
   */
  prepare(): Promise<void> {
    this.#preparing ??= this.#prepare();
    return this.#preparing;
  }

  async #prepare(): Promise<void> {
    // An application that is closed while it starts goes on starting.
    if (this.#closing !== undefined) throw notOpen();
    this.#observers = await loadObservers(this.#options, (error) => this.#report(error));
    const link = await openLink(this.#options, this.#listener(), this.#opening.signal);
    this.#link = link;
    try {
      await this.#queues.declareExchanges(link);
      await this.#queues.declare(link);
    } catch (error) {
      await this.#letGo();
      throw error;
    }
  }

  async #startBackground(link: Link): Promise<void> {
    const init = {
      queue: this.#options.handlers.queue,
      queues: [...this.#handlers.queues],
      link: () => this.#requireLink(),
      wire: this.#wire,
      clock: this.#options.clock,
      logger: this.logger,
      report: (error: unknown) => this.#report(error),
      declareQueue: async (name: string, declaration: QueueDeclaration) =>
        this.#queues.declareQueue(link, name, declaration),
    };
    this.#inbox = new Inbox(init);
    this.#background = [this.#inbox, new Schedules(init)];
    for (const one of this.#background) await one.declare();
    for (const one of this.#background) await one.start();
  }

  #listener(): LinkListener {
    return {
      onConnected: () => {
        this.#away = undefined;
        if (this.#listening !== undefined && this.#draining === undefined) this._status$.next('connected');
        for (const one of this.#background) one.onReconnected();
        this.#listeners.tell('connect');
      },
      onDisconnected: (error) => {
        this.#away = error;
        this._status$.next('disconnected');
        for (const one of this.#background) one.onDisconnected();
        this.logger.warn(`The connection to the broker is lost: ${describeError(error)}`);
        this.#listeners.tell('disconnect', error);
      },
      onBlocked: (reason) => {
        if (reason === undefined) this.#listeners.tell('unblocked');
        else this.#listeners.tell('blocked', reason);
      },
      onError: (error) => this.#report(error),
    };
  }

  async #listen(): Promise<void> {
    await this.prepare();
    // An embedded broker has no socket that would keep the process alive while it waits for messages.
    this.#keepAlive = setInterval(() => {}, 0x7fff_ffff);
    try {
      await this.#queues.declare(this.#requireLink());
      await this.#startBackground(this.#requireLink());
      for (const handlers of this.#handlers.queues) {
        await this.#consumers.start(handlers.queue, new QueueConsumer(this.#consumerInit(handlers)));
      }
    } catch (error) {
      await this.#letGo();
      throw error;
    }
    this._status$.next('connected');
  }

  #consumerInit(handlers: QueueHandlers): QueueConsumerInit {
    const observers = this.#observers as Observers;
    const runWithProcessingHooks = withProcessingHooks({
      start: (context, run) => this.onProcessingStartHook(this.transportId, context, run),
      end: (context) => this.onProcessingEndHook?.(this.transportId, context),
    });
    return {
      handlers,
      inbox: this.#inbox?.concerns(handlers) === true ? this.#inbox : undefined,
      link: () => this.#requireLink(),
      deliveryLimit: this.#options.deliveryLimit,
      wire: this.#wire,
      clock: this.#options.clock,
      running: this.#running,
      logger: this.logger,
      report: (error) => this.#report(error),
      observer: handlingObserver({ queue: handlers.queue, ...observers }),
      witness: observers.witness,
      hooks: {
        around: () => this.#hooked,
        runWithProcessingHooks,
        handleRequest: (context, produce, respond) =>
          runWithProcessingHooks(context, async (runEndHook) => {
            this.send((await produce()).pipe(finalize(runEndHook)), respond);
          }),
        transformToObservable: (result) => this.transformToObservable(result),
      },
    };
  }

  /**
   * Stops intake and resolves when running handlers have settled, or after the grace period, when their signals have
   * aborted and their messages are back in their queues; at most 5 s later if the broker does not confirm that. A
   * connection that is being made is given up. Idempotent.
   */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    this.#opening.abort();
    // A start that failed has told its caller.
    await (this.#listening ?? this.#preparing)?.catch(() => undefined);
    if (this.#link === undefined) return;
    this._status$.next('draining');
    for (const one of this.#background) one.stop();
    this.#consumers.stop();
    await Promise.race([this.#running.idle(), this.#graceOver()]);
    this.#graceTimer?.cancel();
    // A broker that is away, or takes no publishes, must not keep the service from its end.
    if (await flushWithin(this.#link, this.#options.clock, FLUSH_MS_MAX)) return;
    this.logger.warn(
      `The broker has not confirmed within ${FLUSH_MS_MAX} ms what was settled; some of it may come again.`,
    );
  }

  /** Resolves when the grace period is over and what still ran has been given up. */
  #graceOver(): Promise<void> {
    const { clock, gracePeriod } = this.#options;
    return new Promise((resolve) => {
      this.#graceTimer = clock.setTimer(gracePeriod, () => {
        const abandoned = this.#running.abandon(
          new Error('The service is shutting down and the grace period is over.'),
        );
        this.logger.warn(
          `${abandoned} message(s) were not done with within the grace period of ${gracePeriod} ms; they are back in their queues.`,
        );
        resolve();
      });
    });
  }

  async #close(): Promise<void> {
    try {
      await this.drain();
    } finally {
      await this.#letGo();
    }
  }

  async #letGo(): Promise<void> {
    clearInterval(this.#keepAlive);
    const link = this.#link;
    this.#link = undefined;
    if (link === undefined) return;
    await link.close();
    this._status$.next('disconnected');
  }

  #requireLink(): Link {
    if (this.#link === undefined) {
      throw notOpen();
    }
    return this.#link;
  }

  #report(error: unknown): void {
    const known = isNativeError(error) ? error : new Error(describeError(error));
    this.logger.error(known);
    this.#listeners.tell('error', known);
  }
}

function notOpen(): Error {
  return new QueueUnavailableException(
    'The queue server is not open: the application has not been initialised, or is closed.',
  );
}
