import type { Logger } from '@nestjs/common';
import type { BaseRpcContext, Server } from '@nestjs/microservices';
import { NO_MESSAGE_HANDLER } from '@nestjs/microservices/constants.js';
import type { Clock } from '@nestmq/broker';
import type { Observable } from 'rxjs';
import { describeError } from '../describe-error.js';
import { HandlerTimeoutException, RetryLaterException } from '../retry.exceptions.js';
import type { Link, LinkDelivery, Subscription } from '../links/link.js';
import { type HandlingObserver, observed, observedBatch } from '../observability/handling-observer.js';
import type { Wire } from '../wire/wire.js';
import { type Incoming, readIncoming } from '../wire/incoming.js';
import { type Origin, originOf, type Progress, progressOf } from './address.js';
import { deadLetter } from './dead-letter.js';
import { executingBatch } from './execute-batch.js';
import { callEventHandler, type Execute, executing, failed, withinTime } from './execute.js';
import type { QueueHandlers, RegisteredHandler } from './handler-table.js';
import { InTurn } from './in-turn.js';
import { Lanes } from './lanes/lanes.js';
import { HandlingLog } from './log.js';
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
    context: BaseRpcContext,
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
  /** Undefined: nobody looks on. */
  readonly observer: HandlingObserver | undefined;
}

/** Takes the messages of one queue to its handlers, and settles them by what comes of it. */
export class QueueConsumer {
  readonly #init: QueueConsumerInit;
  readonly #settlement: Settlement;
  readonly #lanes: Lanes;
  readonly #log: HandlingLog;
  readonly #reading: InTurn | undefined;
  #state: 'open' | 'stopping' | 'stopped' = 'stopped';
  #subscription: Subscription | undefined;
  /** How often it was started: only the last subscription counts. */
  #starts = 0;
  #isDeleted = false;
  /** Resolves when the queue has been let go. */
  #stopping: Promise<void> | undefined;
  /** What came after the stop, while the queue could not be let go yet. */
  readonly #late: LinkDelivery[] = [];

  readonly #executeEvent: Execute = executing((run) =>
    withinTime(this.#init.clock, [run], () => {
      const { handler, work, context } = run;
      return this.#hooked(context, () => callEventHandler(handler.handle, work.received.data, context));
    }),
  );

  readonly #executeBatch = executingBatch((runs, data, context) =>
    withinTime(this.#init.clock, runs, () => {
      const [{ handler }] = runs as [Run];
      return this.#hooked(context, () => callEventHandler(handler.handle, data, context));
    }),
  );

  readonly #executeRequest: Execute = (run) =>
    this.#answer(run, new Replies(this.#init, run.work.delivery, run.work.received.replyFormat));

  constructor(init: QueueConsumerInit) {
    this.#init = init;
    this.#settlement = new Settlement(init);
    const { handlers, clock, observer } = init;
    this.#log = new HandlingLog(init.logger, handlers.queue);
    this.#lanes = new Lanes(
      {
        clock,
        executeOf: ({ isEvent }) => observed(isEvent ? this.#executeEvent : this.#executeRequest, observer),
        executeBatch: observedBatch(this.#executeBatch, observer),
        onRetry: (run, outcome) => this.#log.failed(run, outcome),
      },
      handlers.all,
    );
    this.#reading = handlers.isOrdered ? new InTurn() : undefined;
  }

  get isRunning(): boolean {
    return this.#state === 'open' && this.#subscription !== undefined && !this.#isDeleted;
  }

  /** Its queue is gone. */
  get isDeleted(): boolean {
    return this.#isDeleted;
  }

  /** Resolves when messages come. Idempotent. */
  async start(): Promise<void> {
    await this.#stopping;
    if (this.#state === 'open') return;
    this.#state = 'open';
    this.#lanes.start();
    try {
      await this.#consume();
    } catch (error) {
      this.#state = 'stopped';
      throw error;
    }
  }

  async #consume(): Promise<void> {
    const { handlers } = this.#init;
    const start = ++this.#starts;
    this.#isDeleted = false;
    const subscription = await this.#init.link().consume(handlers.queue, {
      prefetchCount: handlers.prefetchCount,
      noAck: handlers.noAck,
      onDelivery: (delivery) => void this.#onDelivery(delivery),
      onCancel: () => this.#onCancel(start),
      onLost: (delivery) => this.#onLost(delivery),
    });
    if (this.#state === 'open' && start === this.#starts) this.#subscription = subscription;
    else subscription.cancel();
  }

  /**
   * No message begins any more; what runs goes on, and what has not begun goes back. A queue with an order is let go
   * when what runs in its order has ended. Idempotent.
   */
  stop(): void {
    if (this.#state !== 'open') return;
    this.#state = 'stopping';
    const idle = this.#lanes.stop();
    if (idle === undefined) this.#letGo();
    else this.#stopping = idle.then(() => this.#letGo());
  }

  #letGo(): void {
    this.#state = 'stopped';
    this.#subscription?.cancel();
    this.#subscription = undefined;
    this.#stopping = undefined;
    for (const delivery of this.#late.splice(0)) delivery.requeue({ failed: false });
    this.#lanes.release();
  }

  #onCancel(start: number): void {
    if (start === this.#starts) this.#isDeleted = true;
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
    if (this.#state !== 'open' && !delivery.settled) return this.#onLateDelivery(delivery);
    const { running, observer } = this.#init;
    const work = new Work(delivery);
    running.add(work);
    observer?.delivered(delivery);
    try {
      await this.#handle(work);
    } catch (error) {
      // Here the broker failed, not the handler: the message stays, for this or another instance, but not at once.
      this.#init.report(error);
      await this.#pause();
      delivery.requeue({ failed: false });
    } finally {
      running.remove(work);
      observer?.settled(work);
    }
  }

  #onLateDelivery(delivery: LinkDelivery): void {
    // It would come at once again, as long as the queue is consumed.
    if (this.#state === 'stopping') this.#late.push(delivery);
    else delivery.requeue({ failed: false });
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
      let read = readIncoming(message, this.#init.wire);
      if (this.#reading !== undefined) read = this.#reading.next(read);
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
    const attempt = progress.attempts + 1;
    for (const handler of due) work.add(handler, attempt);
    const settled = this.#settledBy(work, progress);
    if (work.runs.length === 1) await this.#run(work.runs[0] as Run);
    else await Promise.all(work.runs.map(async (run) => this.#run(run)));
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
    for (const run of work.runs) if (run.outcome?.kind !== 'done') this.#log.failed(run, run.outcome);
    return this.#settlement.settle(work, progress);
  }

  async #run(run: Run): Promise<void> {
    const outcome = await this.#lanes.execute(run);
    // An ordered run may have gone on as another one.
    const last = run.work.runs.find(({ handler }) => handler === run.handler) ?? run;
    if (last.settle(outcome) || last.outcome === outcome) return;
    if (!('error' in outcome) || last.signal.aborted) return;
    this.#log.failedAfterSettling(last, outcome.error);
  }

  /** Nest's hooks around one handler, once each. */
  async #hooked(context: BaseRpcContext, call: () => Promise<void>): Promise<void> {
    const { hooks } = this.#init;
    if (!hooks.around()) return call();
    // Not by the promise that the hook returns: a start hook may let the handler begin later.
    return new Promise((resolve, reject) => {
      const ran = hooks.runWithProcessingHooks(context, async (runEndHook) => {
        try {
          await call();
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
    const { handlers, clock, observer } = this.#init;
    const { queue, deadLetterQueue } = handlers;
    const attempts = progress.attempts + 1;
    const cause = { queue, deadLetterQueue, reason, error, attempts, nowMs: clock.now() };
    this.#log.givenUp(delivery, origin, cause);
    observer?.refused(delivery, reason);
    if (delivery.settled) return;
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
    const run = work.add(handler, progress.attempts + 1);
    const settled = this.#settledBy(work, progress);
    await this.#run(run);
    return settled();
  }

  /** A caller whose handler takes too long is told so, and gets nothing after that. */
  async #answer(run: Run, replies: Replies): Promise<Outcome> {
    let isOver = false;
    const send = (reply: Reply): Promise<void> | void => (isOver ? undefined : replies.send(reply));
    try {
      return await withinTime(this.#init.clock, [run], () => this.#ask(run, send));
    } catch (error) {
      if (!(error instanceof HandlerTimeoutException)) throw error;
      isOver = true;
      await replies.send({ err: error });
      return DONE;
    }
  }

  /** Resolves when the last reply is on its way. */
  #ask(run: Run, send: (reply: Reply) => Promise<void> | void): Promise<Outcome> {
    const { hooks } = this.#init;
    return new Promise<Outcome>((resolve, reject) => {
      const respond = (reply: Reply): Promise<void> | void => {
        const again = reply.err === undefined ? undefined : this.#anotherTry(run, reply.err);
        if (again !== undefined) return resolve(again);
        const sent = send(reply);
        if (reply.err === undefined && reply.isDisposed !== true) return sent;
        const outcome = run.asked ?? DONE;
        if (sent === undefined) resolve(outcome);
        else void sent.then(() => resolve(outcome));
        return sent;
      };
      const produce = async (): Promise<Observable<unknown>> =>
        hooks.transformToObservable(await run.handler.handle(run.work.received.data, run.context));
      Promise.resolve(hooks.handleRequest(run.context, produce, respond)).catch(reject);
    });
  }

  /** A request's error is its answer, unless the handler asked to be tried again. */
  #anotherTry(run: Run, error: unknown): Outcome | undefined {
    const byHand = run.outcome ?? run.asked;
    if (byHand?.kind === 'retry') return byHand;
    const thrown = run.thrown === undefined ? error : run.thrown.error;
    if (!(thrown instanceof RetryLaterException)) return undefined;
    const outcome = failed(run, error);
    return outcome.kind === 'retry' ? outcome : undefined;
  }
}
