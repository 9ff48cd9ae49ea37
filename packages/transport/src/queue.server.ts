import { isNativeError } from 'node:util/types';
import { Server } from '@nestjs/microservices';
import { NO_MESSAGE_HANDLER } from '@nestjs/microservices/constants.js';
import { type Message, systemClock, type Timer } from '@nestmq/broker';
import { isObservable, lastValueFrom, type Observable } from 'rxjs';
import { deadLetter, type DeadLetterCause } from './dead-letter.js';
import { describeError } from './describe-error.js';
import {
  deadLetterQueueOf,
  EVENTS_EXCHANGE,
  HEADER,
  REPLY,
  replyMessage,
  REQUESTS_EXCHANGE,
} from './envelope.js';
import { HandlerTable, type QueueHandlers, type RegisteredHandler } from './handler-table.js';
import type { Link, LinkDelivery, LinkListener, Subscription } from './links/link.js';
import { openLink } from './links/open-link.js';
import { QueueContext } from './queue.context.js';
import {
  type HandlerOptions,
  normaliseQueueOptions,
  type NormalisedQueueOptions,
  type QueueOptions,
} from './queue.options.js';
import { RunningDeliveries } from './running-deliveries.js';
import { encodeError } from './wire/errors.js';
import { Wire } from './wire/wire.js';
import { recordThrownErrors } from './thrown-error.recorder.js';

/** `draining`: intake has stopped, handlers that run are awaited. */
export type QueueStatus = 'connected' | 'draining' | 'disconnected';

/** How long a message waits that could not be settled. Milliseconds. */
const BROKER_FAILURE_PAUSE_MS = 1000;

type ErrorListener = (error: Error) => void;

/** What {@link QueueServer.on} can listen to; `error`: a queue was deleted under its consumer, or the broker failed. */
// A type, since Nest wants an index signature.
export type QueueEvents = { error: ErrorListener };

interface Reply {
  readonly response?: unknown;
  readonly err?: unknown;
  readonly isDisposed?: boolean;
}

/**
 * The strategy that hands messages to decorated handlers:
 * `app.connectMicroservice({ strategy: app.get(QueueServer) })`.
 *
 * A success acks. A failed event goes back to its queue until its attempts are used up, then to `QUEUE.dead` with
 * the error. A failed request is answered with the error. Nothing is dropped: what has no handler or can't be read
 * is dead-lettered.
 *
 * @publicApi
 */
export class QueueServer extends Server<QueueEvents, QueueStatus> {
  override readonly transportId: symbol = Symbol('nestmq');
  /** Failures are observed, retried and logged here; Nest need not log them again. */
  override readonly propagatesEventHandlerErrors: boolean = true;

  readonly #options: NormalisedQueueOptions;
  readonly #handlers: HandlerTable;
  readonly #running = new RunningDeliveries();
  readonly #wire = new Wire();
  readonly #errorListeners = new Set<ErrorListener>();
  #subscriptions: Subscription[] = [];
  #link: Link | undefined;
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
    this.#handlers = new HandlerTable(this.#options);
  }

  // ---------------------------------------------------------------- Nest's contract

  override addHandler(
    pattern: unknown,
    callback: RegisteredHandler['handle'],
    isEventHandler = false,
    extras: HandlerOptions = {},
  ): void {
    const route = this.normalizePattern(pattern as string);
    callback.isEventHandler = isEventHandler;
    callback.extras = extras as Record<string, unknown>;
    // Not chained by `next` as the base class does: handlers of one event settle on their own.
    this.messageHandlers.set(route, callback);
    this.#handlers.add(route, callback, isEventHandler, extras);
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

  override on<K extends keyof QueueEvents>(event: K, callback: QueueEvents[K]): void {
    if (event === 'error') this.#errorListeners.add(callback);
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
    this.#link = await openLink(this.#options, this.#listener());
    try {
      await this.#link.declareExchange(EVENTS_EXCHANGE);
      await this.#link.declareExchange(REQUESTS_EXCHANGE);
      for (const handlers of this.#handlers.queues) await this.#declare(this.#link, handlers);
    } catch (error) {
      await this.#letGo();
      throw error;
    }
  }

  #listener(): LinkListener {
    return {
      onConnected: () => {},
      onDisconnected: (error) => this.#report(error),
      onBlocked: () => {},
      onError: (error) => this.#report(error),
    };
  }

  async #listen(): Promise<void> {
    await this.prepare();
    // An embedded broker has no socket that would keep the process alive while it waits for messages.
    this.#keepAlive = setInterval(() => {}, 0x7fff_ffff);
    try {
      for (const handlers of this.#handlers.queues) await this.#consume(this.#requireLink(), handlers);
    } catch (error) {
      await this.#letGo();
      throw error;
    }
    this._status$.next('connected');
  }

  async #declare(link: Link, handlers: QueueHandlers): Promise<void> {
    await link.declareQueue(handlers.queue);
    await link.declareQueue(deadLetterQueueOf(handlers.queue));
    for (const pattern of handlers.eventPatterns)
      await link.bindQueue(handlers.queue, EVENTS_EXCHANGE, pattern);
    for (const pattern of handlers.requestPatterns)
      await link.bindQueue(handlers.queue, REQUESTS_EXCHANGE, pattern);
  }

  async #consume(link: Link, handlers: QueueHandlers): Promise<void> {
    const subscription = await link.consume(handlers.queue, {
      prefetchCount: this.#options.prefetchCount,
      noAck: false,
      onDelivery: (delivery) => void this.#onDelivery(handlers, delivery),
      onCancel: () =>
        this.#report(
          new Error(
            `The queue '${handlers.queue}' was deleted. Restart the service: it declares its queues anew.`,
          ),
        ),
    });
    this.#subscriptions.push(subscription);
  }

  /**
   * Stops intake and resolves when running handlers have settled, or after the grace period, when their signals have
   * aborted and their messages are back in their queues. Idempotent.
   */
  drain(): Promise<void> {
    this.#draining ??= this.#drain();
    return this.#draining;
  }

  async #drain(): Promise<void> {
    // A start that failed has told its caller.
    await (this.#listening ?? this.#preparing)?.catch(() => undefined);
    if (this.#link === undefined) return;
    this._status$.next('draining');
    for (const subscription of this.#subscriptions.splice(0)) subscription.cancel();
    await Promise.race([this.#running.idle(), this.#graceOver()]);
    this.#graceTimer?.cancel();
    await this.#link.flush();
  }

  /** Resolves when the grace period is over and what still ran has been given up. */
  #graceOver(): Promise<void> {
    const { clock = systemClock } = this.#options.broker;
    const { gracePeriod } = this.#options;
    return new Promise((resolve) => {
      this.#graceTimer = clock.setTimer(gracePeriod, () => {
        const abandoned = this.#running.abandon();
        this.logger.warn(
          `${abandoned} handler(s) did not end within the grace period of ${gracePeriod} ms; their messages are back in their queues.`,
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

  // ---------------------------------------------------------------- messages

  async #onDelivery(handlers: QueueHandlers, delivery: LinkDelivery): Promise<void> {
    this.#running.add(delivery);
    try {
      await (delivery.message.exchange === REQUESTS_EXCHANGE
        ? this.#onRequest(handlers, delivery)
        : this.#onEvent(handlers, delivery));
    } catch (error) {
      // Here the broker failed, not the handler: the message stays, for this or another instance, but not at once.
      this.#report(error);
      await this.#pause();
      delivery.requeue({ failed: false });
    } finally {
      this.#running.remove(delivery);
    }
  }

  /** So that what can't be settled does not come again and again without end. */
  #pause(): Promise<void> {
    const { clock = systemClock } = this.#options.broker;
    return new Promise((resolve) => {
      clock.setTimer(BROKER_FAILURE_PAUSE_MS, resolve);
    });
  }

  async #onEvent(handlers: QueueHandlers, delivery: LinkDelivery): Promise<void> {
    const { pattern, attempts, handlers: only } = fromEarlierAttempt(delivery);
    const all = handlers.forEvent(pattern);
    const due = only === undefined ? all : all.filter(({ id }) => only.includes(id));
    if (due.length === 0) return this.#giveUp(handlers, delivery, 'no-handler', undefined);
    let data: unknown;
    try {
      data = await this.#wire.decode(delivery.message);
    } catch (error) {
      return this.#giveUp(handlers, delivery, 'unreadable', error);
    }
    const attempt = attempts + delivery.deliveryCount + 1;
    const failures = await this.#runAll(
      due,
      data,
      new QueueContext([delivery, pattern, this.#running, attempt]),
    );
    if (delivery.settled) return undefined;
    if (failures.length === 0) return delivery.ack();
    return this.#retry(handlers, delivery, pattern, due, failures, attempt);
  }

  /** Runs each handler to its end and returns those that failed. */
  async #runAll(
    due: readonly RegisteredHandler[],
    data: unknown,
    context: QueueContext,
  ): Promise<readonly Failure[]> {
    if (!this.#hooked) return runToEnd(due, data, context);
    // Not by the promise that the hook returns: a start hook may let the handlers begin later.
    return new Promise((resolve, reject) => {
      const ran = this.runWithProcessingHooks(context, async (runEndHook) => {
        const failures = await runToEnd(due, data, context);
        runEndHook();
        resolve(failures);
      });
      Promise.resolve(ran).catch(reject);
    });
  }

  async #retry(
    handlers: QueueHandlers,
    delivery: LinkDelivery,
    pattern: string,
    due: readonly RegisteredHandler[],
    failures: readonly Failure[],
    attempt: number,
  ): Promise<void> {
    const exhausted = failures.find(({ handler }) => attempt >= handler.attempts);
    const again = failures.filter(({ handler }) => attempt < handler.attempts);
    for (const { handler, error } of failures) {
      this.logger.warn(
        `'${pattern}' failed in attempt ${attempt} of ${handler.attempts} (queue '${handlers.queue}'): ${describeError(error)}`,
      );
    }
    if (again.length === 0) return this.#giveUp(handlers, delivery, 'attempts', exhausted?.error);
    if (again.length === due.length) return delivery.requeue({ failed: true });
    if (exhausted !== undefined) await this.#copyToDeadLetters(handlers, delivery, exhausted.error);
    // Some have done their part: only the others see the message again, at the end of the queue.
    const { properties } = delivery.message;
    await this.#requireLink().forward(delivery, [
      {
        exchange: '',
        routingKey: handlers.queue,
        properties: {
          ...properties,
          headers: {
            ...properties.headers,
            [HEADER.routingKey]: pattern,
            [HEADER.attemptsBefore]: attempt,
            [HEADER.handlers]: again.map(({ handler }) => handler.id),
          },
        },
      },
    ]);
  }

  async #giveUp(
    handlers: QueueHandlers,
    delivery: LinkDelivery,
    reason: DeadLetterCause['reason'],
    error: unknown,
  ): Promise<void> {
    await this.#requireLink().forward(delivery, [this.#deadLetter(handlers, delivery, reason, error)]);
  }

  /** For a handler whose attempts are used up while others still try: the message itself goes on to those. */
  async #copyToDeadLetters(handlers: QueueHandlers, delivery: LinkDelivery, error: unknown): Promise<void> {
    const letter = {
      ...this.#deadLetter(handlers, delivery, 'attempts', error),
      body: delivery.message.body,
    };
    await new Promise<void>((resolve, reject) => {
      const onDurable = (failure?: Error): void => (failure === undefined ? resolve() : reject(failure));
      this.#requireLink().publish(letter, onDurable, { settles: true });
    });
  }

  #deadLetter(
    handlers: QueueHandlers,
    delivery: LinkDelivery,
    reason: DeadLetterCause['reason'],
    error: unknown,
  ): Omit<Message, 'body'> {
    const { clock = systemClock } = this.#options.broker;
    const why = error === undefined ? reason : `${reason}: ${describeError(error)}`;
    this.logger.error(
      `'${delivery.message.routingKey}' is dead-lettered to '${deadLetterQueueOf(handlers.queue)}' (${why}).`,
    );
    const attempts = attemptsBefore(delivery) + 1;
    return deadLetter(delivery, { queue: handlers.queue, reason, error, attempts, nowMs: clock.now() });
  }

  async #onRequest(handlers: QueueHandlers, delivery: LinkDelivery): Promise<void> {
    const { routingKey } = delivery.message;
    const handler = handlers.forRequest(routingKey);
    if (handler === undefined) return this.#refuse(handlers, delivery, 'no-handler', NO_MESSAGE_HANDLER);
    let data: unknown;
    try {
      data = await this.#wire.decode(delivery.message);
    } catch (error) {
      return this.#refuse(
        handlers,
        delivery,
        'unreadable',
        `The request is not JSON: ${describeError(error)}`,
      );
    }
    const context = new QueueContext([delivery, routingKey, this.#running, delivery.deliveryCount + 1]);
    await this.#answer(handler, data, context, delivery);
    return delivery.ack();
  }

  /** Tells the caller; a request without one is dead-lettered. */
  #refuse(
    handlers: QueueHandlers,
    delivery: LinkDelivery,
    reason: DeadLetterCause['reason'],
    message: string,
  ): Promise<void> | void {
    if (delivery.message.properties.replyTo === undefined) {
      return this.#giveUp(handlers, delivery, reason, new Error(message));
    }
    this.#reply(delivery, { err: { status: 'error', message } });
    return delivery.ack();
  }

  /** Resolves when the last reply is on its way. */
  async #answer(
    handler: RegisteredHandler,
    data: unknown,
    context: QueueContext,
    delivery: LinkDelivery,
  ): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const respond = (reply: Reply): void => {
        this.#reply(delivery, reply);
        if (reply.err !== undefined || reply.isDisposed === true) resolve();
      };
      const produce = async (): Promise<Observable<unknown>> =>
        this.transformToObservable(await handler.handle(data, context)) as Observable<unknown>;
      Promise.resolve(this.handleRequest(context, produce, respond)).catch(reject);
    });
  }

  #reply(delivery: LinkDelivery, reply: Reply): void {
    if (reply.err !== undefined) this.#send(delivery, REPLY.error, encodeError(reply.err));
    else if (reply.isDisposed !== true) this.#send(delivery, REPLY.value, reply.response);
    else if (reply.response === undefined) this.#send(delivery, REPLY.end, undefined);
    else this.#send(delivery, REPLY.last, reply.response);
  }

  /** A caller who has left is nobody's loss: 'unroutable' is as good as delivered. */
  #send(delivery: LinkDelivery, type: string, data: unknown): void {
    const { replyTo, correlationId } = delivery.message.properties;
    if (replyTo === undefined) return;
    const link = this.#requireLink();
    const publish = async (as: string, value: unknown): Promise<void> => {
      const onDurable = (error?: Error): void => {
        if (error !== undefined) this.#report(error);
      };
      link.publish(replyMessage(replyTo, correlationId, as, await this.#wire.encode(value)), onDurable, {
        settles: true,
      });
    };
    publish(type, data)
      .catch((error: unknown) => {
        // What can't be sent (a cycle, a BigInt, too much) must not leave the caller waiting.
        this.#report(error);
        return publish(REPLY.error, {
          status: 'error',
          message: `The answer can't be sent: ${describeError(error)}`,
        });
      })
      .catch((error: unknown) => this.#report(error));
  }

  #requireLink(): Link {
    if (this.#link === undefined) throw new Error('The server is closed.');
    return this.#link;
  }

  #report(error: unknown): void {
    const known = isNativeError(error) ? error : new Error(describeError(error));
    this.logger.error(known);
    for (const listener of this.#errorListeners) listener(known);
  }
}

interface Failure {
  readonly handler: RegisteredHandler;
  readonly error: unknown;
}

const NO_FAILURES: readonly Failure[] = [];

/** Two handlers of one message run side by side, each with a context of its own; it never rejects. */
async function runToEnd(
  due: readonly RegisteredHandler[],
  data: unknown,
  context: QueueContext,
): Promise<readonly Failure[]> {
  const [only] = due;
  if (due.length === 1 && only !== undefined) {
    const failure = await runOne(only, data, context);
    return failure === undefined ? NO_FAILURES : [failure];
  }
  const ran = await Promise.all(
    due.map(async (handler) => runOne(handler, data, new QueueContext(context.getArgs()))),
  );
  return ran.filter((failure) => failure !== undefined);
}

async function runOne(
  handler: RegisteredHandler,
  data: unknown,
  context: QueueContext,
): Promise<Failure | undefined> {
  try {
    const result: unknown = await handler.handle(data, context);
    if (isObservable(result)) await lastValueFrom(result, { defaultValue: undefined });
    return undefined;
  } catch (error) {
    return { handler, error: context.thrown === undefined ? error : context.thrown.error };
  }
}

/**
 * What an earlier attempt left in the headers of a message that it put at the end of its queue. Only those come through
 * the default exchange; in what others publish, such headers mean nothing.
 */
function fromEarlierAttempt(delivery: LinkDelivery): {
  readonly pattern: string;
  readonly attempts: number;
  readonly handlers: readonly unknown[] | undefined;
} {
  const { exchange, routingKey, properties } = delivery.message;
  const headers = exchange === '' ? (properties.headers ?? {}) : {};
  const pattern = headers[HEADER.routingKey];
  const attempts = headers[HEADER.attemptsBefore];
  const handlers = headers[HEADER.handlers];
  return {
    pattern: typeof pattern === 'string' ? pattern : routingKey,
    attempts: Number.isSafeInteger(attempts) && Number(attempts) > 0 ? Number(attempts) : 0,
    handlers: Array.isArray(handlers) ? (handlers as readonly unknown[]) : undefined,
  };
}

function attemptsBefore(delivery: LinkDelivery): number {
  return fromEarlierAttempt(delivery).attempts + delivery.deliveryCount;
}
