import type { Logger } from '@nestjs/common';
import type { Server } from '@nestjs/microservices';
import { NO_MESSAGE_HANDLER } from '@nestjs/microservices/constants.js';
import type { Clock, Message } from '@nestmq/broker';
import type { Observable } from 'rxjs';
import { describeError } from '../describe-error.js';
import { RetryLaterException } from '../retry.exceptions.js';
import { exchangeOf, HEADER } from '../envelope.js';
import type { QueueContext } from '../queue.context.js';
import type { Link, LinkDelivery, Subscription } from '../links/link.js';
import type { Wire } from '../wire/wire.js';
import { type Incoming, readEnvelope, readIncoming } from '../wire/incoming.js';
import { type Origin, type Progress, progressOf } from './address.js';
import { deadLetter } from './dead-letter.js';
import { callEventHandler, type Execute, executing, failed, withinTime } from './execute.js';
import type { QueueHandlers, RegisteredHandler } from './handler-table.js';
import { DONE, type DeadLetterReason, type Outcome } from './outcome.js';
import { Replies, type Reply } from './replies.js';
import type { Running } from './running.js';
import { Settlement } from './settlement.js';
import { type Run, Work } from './work.js';

/** How long a message waits that could not be settled. Milliseconds. */
const BROKER_FAILURE_PAUSE_MS = 1000;

/** What Nest's Server does around a handler. */
export interface NestHooks {
  /** Whether somebody wants to know when handlers start and end. */
  readonly around: () => boolean;
  readonly runWithProcessingHooks: Server['runWithProcessingHooks'];
  readonly handleRequest: (
    context: QueueContext,
    produce: () => Promise<Observable<unknown>>,
    respond: (reply: Reply) => Promise<void> | void,
  ) => unknown;
  readonly transformToObservable: (result: unknown) => Observable<unknown>;
}

export interface QueueConsumerInit {
  readonly handlers: QueueHandlers;
  readonly link: () => Link;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly running: Running;
  readonly logger: Pick<Logger, 'error' | 'warn'>;
  readonly report: (error: unknown) => void;
  readonly hooks: NestHooks;
}

/** Takes the messages of one queue to its handlers, and settles them by what comes of it. */
export class QueueConsumer {
  readonly #init: QueueConsumerInit;
  readonly #settlement: Settlement;
  readonly #execute: Execute;
  #subscription: Subscription | undefined;

  constructor(init: QueueConsumerInit) {
    this.#init = init;
    this.#settlement = new Settlement(init);
    const call = withinTime(init.clock, (run) => this.#hooked(run, callEventHandler));
    this.#execute = executing(call);
  }

  /** Resolves when messages come. Idempotent. */
  async start(): Promise<void> {
    if (this.#subscription !== undefined) return;
    const { handlers } = this.#init;
    this.#subscription = await this.#init.link().consume(handlers.queue, {
      prefetchCount: handlers.prefetchCount,
      noAck: handlers.noAck,
      onDelivery: (delivery) => void this.#onDelivery(delivery),
      onCancel: () => this.#onCancel(),
      onLost: (delivery) => this.#onLost(delivery),
    });
  }

  /** No message comes any more; what runs goes on. Idempotent. */
  stop(): void {
    this.#subscription?.cancel();
    this.#subscription = undefined;
  }

  #onCancel(): void {
    const { queue } = this.#init.handlers;
    this.#init.report(
      new Error(`The queue '${queue}' was deleted. Restart the service: it declares its queues anew.`),
    );
  }

  #onLost(delivery: LinkDelivery): void {
    this.#init.running.lose(
      delivery,
      new Error('The connection to the broker was lost; the message comes again.'),
    );
  }

  async #onDelivery(delivery: LinkDelivery): Promise<void> {
    const { running } = this.#init;
    const work = new Work(delivery);
    running.add(work);
    try {
      await this.#handle(work);
    } catch (error) {
      // Here the broker failed, not the handler: the message stays, for this or another instance, but not at once.
      this.#init.report(error);
      await this.#pause();
      delivery.requeue({ failed: false });
    } finally {
      running.remove(work);
    }
  }

  /** So that what can't be settled does not come again and again without end. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#init.clock.setTimer(BROKER_FAILURE_PAUSE_MS, resolve);
    });
  }

  async #handle(work: Work): Promise<void> {
    const { delivery } = work;
    const { message } = delivery;
    const progress = progressOf(message);
    const early = progress.dueAt === undefined ? 0 : progress.dueAt - this.#init.clock.now();
    if (early > 0) return this.#waitFor(delivery, progress, early);
    let incoming: Incoming;
    try {
      const read = readIncoming(message, this.#init.wire);
      incoming = read instanceof Promise ? await read : read;
    } catch (error) {
      const origin = originOf(message);
      const why = `The ${origin.kind} can't be read: ${describeError(error)}`;
      return this.#refuse(delivery, origin, progress, 'unreadable', why, error);
    }
    const due = this.#dueHandlers(incoming, progress);
    if (due.length === 0) return this.#refuse(delivery, incoming, progress, 'no-handler', NO_MESSAGE_HANDLER);
    work.receive(incoming);
    return incoming.kind === 'request'
      ? this.#handleRequest(work, progress, due[0] as RegisteredHandler)
      : this.#handleEvent(work, progress, due);
  }

  /** A delayed message came earlier than it is due: a link may wait in steps. */
  #waitFor(delivery: LinkDelivery, progress: Progress, ms: number): Promise<void> {
    const message = this.#settlement.again(delivery, originOf(delivery.message), progress, ms);
    return this.#init.link().forward(delivery, [message]);
  }

  #dueHandlers({ kind, pattern }: Origin, { handlers: only }: Progress): readonly RegisteredHandler[] {
    const { handlers } = this.#init;
    if (kind === 'request') {
      const handler = handlers.forRequest(pattern);
      return handler === undefined ? [] : [handler];
    }
    const all = handlers.forEvent(pattern);
    return only === undefined ? all : all.filter(({ id }) => only.includes(id));
  }

  // ---------------------------------------------------------------- events

  async #handleEvent(work: Work, progress: Progress, due: readonly RegisteredHandler[]): Promise<void> {
    const attempt = progress.attempts + work.delivery.deliveryCount + 1;
    for (const handler of due) work.add(handler, attempt);
    const settled = this.#settledBy(work, progress);
    if (work.runs.length === 1) await this.#runEvent(work.runs[0] as Run);
    else await Promise.all(work.runs.map(async (run) => this.#runEvent(run)));
    return settled();
  }

  /** Settles the delivery as soon as each of its runs has an outcome; returns what waits for it. */
  #settledBy(work: Work, progress: Progress): () => Promise<void> | void {
    let settling: Promise<void> | void;
    work.onSettled = () => {
      settling = this.#settleOnce(work, progress);
      // Awaited by the caller below; until then a rejection is not unhandled.
      settling?.catch(() => undefined);
    };
    return () => settling;
  }

  #settleOnce(work: Work, progress: Progress): Promise<void> | void {
    for (const run of work.runs) if (run.outcome?.kind !== 'done') this.#tell(run);
    return this.#settlement.settle(work, progress);
  }

  async #runEvent(run: Run): Promise<void> {
    const outcome = await this.#execute(run);
    // An ordered run may have gone on as another one.
    const last = run.work.runs.find(({ handler }) => handler === run.handler) ?? run;
    if (last.settle(outcome) || outcome.kind === 'done') return;
    if (!('error' in outcome) || last.signal.aborted) return;
    this.#init.logger.warn(
      `The handler of '${run.work.received.pattern}' settled the message by hand, and failed afterwards: ${describeError(outcome.error)}`,
    );
  }

  #tell({ outcome, attempt, handler, work }: Run): void {
    const { handlers, logger } = this.#init;
    if (outcome === undefined || !('error' in outcome)) return;
    const { pattern } = work.received;
    const why = describeError(outcome.error);
    const of = `attempt ${attempt} of ${handler.policy.retry.attempts} (queue '${handlers.queue}')`;
    if (handlers.noAck) {
      logger.error(`'${pattern}' failed, and is lost, since its queue has noAck: ${why}`);
    } else if (outcome.kind === 'retry') {
      logger.warn(`'${pattern}' failed in ${of}, and is tried again in ${outcome.delayMs} ms: ${why}`);
    } else {
      const to = handler.policy.deadLetterQueue;
      const where = to === undefined ? 'gone (deadLetter: false)' : `dead-lettered to '${to}'`;
      logger.error(`'${pattern}' failed in ${of}, and is ${where}: ${why}`);
    }
  }

  /** Nest's hooks around one handler, once each. */
  async #hooked(run: Run, call: (run: Run) => Promise<void>): Promise<void> {
    const { hooks } = this.#init;
    if (!hooks.around()) return call(run);
    // Not by the promise that the hook returns: a start hook may let the handler begin later.
    return new Promise((resolve, reject) => {
      const ran = hooks.runWithProcessingHooks(run.context, async (runEndHook) => {
        try {
          await call(run);
          resolve();
        } catch (error) {
          reject(error);
        } finally {
          runEndHook();
        }
      });
      Promise.resolve(ran).catch(reject);
    });
  }

  async #giveUp(
    delivery: LinkDelivery,
    origin: Origin,
    progress: Progress,
    reason: DeadLetterReason,
    error: unknown,
  ): Promise<void> {
    const { handlers, logger, clock } = this.#init;
    const { queue, deadLetterQueue } = handlers;
    const why = error === undefined ? reason : `${reason}: ${describeError(error)}`;
    logger.error(`'${origin.pattern}' is dead-lettered to '${deadLetterQueue}' (${why}).`);
    if (delivery.settled) return;
    const attempts = progress.attempts + delivery.deliveryCount + 1;
    const cause = { queue, deadLetterQueue, reason, error, attempts, nowMs: clock.now() };
    await this.#init.link().forward(delivery, [deadLetter(delivery, origin, progress.handlers, cause)]);
  }

  // ---------------------------------------------------------------- requests

  /** Tells the caller; an event, or a request without a caller, is dead-lettered. */
  #refuse(
    delivery: LinkDelivery,
    origin: Origin,
    progress: Progress,
    reason: DeadLetterReason,
    message: string,
    cause?: unknown,
  ): Promise<void> | void {
    const isRequest = origin.kind === 'request';
    if (!isRequest || delivery.message.properties.replyTo === undefined) {
      const error = cause ?? (isRequest ? new Error(message) : undefined);
      return this.#giveUp(delivery, origin, progress, reason, error);
    }
    void new Replies(this.#init, delivery, origin.replyFormat).send({ err: { status: 'error', message } });
    delivery.ack();
    return undefined;
  }

  /** The answer is the end of it, unless the handler asks for another try. */
  async #handleRequest(work: Work, progress: Progress, handler: RegisteredHandler): Promise<void> {
    const run = work.add(handler, progress.attempts + work.delivery.deliveryCount + 1);
    const settled = this.#settledBy(work, progress);
    const replies = new Replies(this.#init, work.delivery, work.received.replyFormat);
    const outcome = await this.#answer(run, replies);
    run.settle(outcome);
    return settled();
  }

  /** Resolves when the last reply is on its way. */
  async #answer(run: Run, replies: Replies): Promise<Outcome> {
    const { hooks } = this.#init;
    return new Promise<Outcome>((resolve, reject) => {
      const respond = (reply: Reply): Promise<void> | void => {
        const again = reply.err === undefined ? undefined : this.#anotherTry(run, reply.err);
        if (again !== undefined) return resolve(again);
        const sent = replies.send(reply);
        if (reply.err === undefined && reply.isDisposed !== true) return sent;
        if (sent === undefined) resolve(DONE);
        else void sent.then(() => resolve(DONE));
        return sent;
      };
      const produce = async (): Promise<Observable<unknown>> =>
        hooks.transformToObservable(await run.handler.handle(run.work.received.data, run.context));
      Promise.resolve(hooks.handleRequest(run.context, produce, respond)).catch(reject);
    });
  }

  /** A request's error is its answer, unless the handler asked to be tried again. */
  #anotherTry(run: Run, error: unknown): Outcome | undefined {
    if (run.outcome?.kind === 'retry') return run.outcome;
    const thrown = run.thrown === undefined ? error : run.thrown.error;
    if (!(thrown instanceof RetryLaterException)) return undefined;
    const outcome = failed(run, error);
    return outcome.kind === 'retry' ? outcome : undefined;
  }
}

/** As far as it can be told without the body. */
function originOf(message: Message): Origin {
  return {
    ...readEnvelope(message),
    replyFormat: exchangeOf(message) === '' && isForeign(message) ? 'nest-rmq' : 'nestmq',
  };
}

/** It was sent to the queue itself: its pattern is in its body, if anywhere. */
function isForeign({ properties }: Message): boolean {
  const exchange = properties.headers?.[HEADER.exchange];
  return exchange === undefined || exchange === '';
}
