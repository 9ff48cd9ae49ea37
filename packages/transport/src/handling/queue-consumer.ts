import { NO_MESSAGE_HANDLER } from '@nestjs/microservices/constants.js';
import type { Clock } from '@nestmq/broker';
import type { DeadLetterReason } from '../envelope.js';
import { describeError } from '../describe-error.js';
import type { Link, LinkDelivery } from '../links/link.js';
import type { QueueWitness } from '../observability/witness.js';
import { type HandlingObserver, observed, observedBatch } from './handling-observer.js';
import { type Incoming, readIncoming } from '../wire/incoming.js';
import type { Wire } from '../wire/wire.js';
import { type Origin, originOf, type Progress, progressOf } from './address.js';
import { deadLetter } from './dead-letter.js';
import { forwardFitting } from './forward-fitting.js';
import { HandlerCalls } from './handler-calls.js';
import type { QueueHandlers, RegisteredHandler } from './handler-table.js';
import { heldBack } from './held-back.js';
import { InTurn } from './in-turn.js';
import type { Inbox } from './inbox.js';
import { Lanes } from './lanes/lanes.js';
import { lateAtOf, unlessLate } from './late-requests.js';
import { HandlingLog, type HandlingLogger } from './log.js';
import type { NestHooks } from './nest-hooks.js';
import type { Outcome } from './outcome.js';
import { QueueIntake } from './queue-intake.js';
import { Replies } from './replies.js';
import type { Running } from './running.js';
import { Settlement } from './settlement.js';
import { type Run, Work } from './work.js';

/** How long a message waits that could not be settled. Milliseconds. */
const BROKER_FAILURE_PAUSE_MS = 1000;

export interface QueueConsumerInit {
  readonly handlers: QueueHandlers;
  readonly link: () => Link;
  /** What was in hand more often when the process ended is given up. */
  readonly deliveryLimit: number;
  readonly wire: Wire;
  readonly clock: Clock;
  readonly running: Running;
  readonly logger: HandlingLogger;
  readonly report: (error: unknown) => void;
  readonly hooks: NestHooks;
  /** Undefined: none of the handlers has one. */
  readonly inbox: Inbox | undefined;
  /** Undefined: nobody looks on. */
  readonly observer: HandlingObserver | undefined;
  /** Undefined: nobody holds messages back. */
  readonly witness: QueueWitness | undefined;
}

/** Takes the messages of one queue to its handlers, and settles them by what comes of it. */
export class QueueConsumer {
  readonly #init: QueueConsumerInit;
  readonly #settlement: Settlement;
  readonly #lanes: Lanes;
  readonly #intake: QueueIntake;
  readonly #log: HandlingLog;
  readonly #reading: InTurn | undefined;

  constructor(init: QueueConsumerInit) {
    this.#init = init;
    this.#settlement = new Settlement({
      ...init,
      giveBack: (delivery) => this.#intake.giveBack(delivery),
    });
    this.#log = new HandlingLog(init.logger, init.handlers.queue);
    this.#lanes = this.#makeLanes();
    this.#reading = init.handlers.isOrdered ? new InTurn() : undefined;
    this.#intake = new QueueIntake({
      ...init,
      lanes: this.#lanes,
      onDelivery: (delivery) => void this.#onDelivery(delivery),
      onDeleted: () => this.#onDeleted(),
      onLost: (delivery) => this.#onLost(delivery),
    });
  }

  #makeLanes(): Lanes {
    const { handlers, clock, observer } = this.#init;
    const calls = new HandlerCalls(this.#init);
    const event = observed(calls.event, observer);
    const request = unlessLate(observed(calls.request, observer), clock, (run) => this.#log.late(run));
    return new Lanes(
      {
        clock,
        executeOf: ({ isEvent }) => (isEvent ? event : request),
        executeBatch: observedBatch(calls.batch, observer),
        onRetry: (run, outcome) => this.#log.failed(run, outcome),
      },
      handlers.all,
    );
  }

  get isRunning(): boolean {
    return this.#intake.isOpen;
  }

  /** Its queue is gone. */
  get isDeleted(): boolean {
    return this.#intake.isDeleted;
  }

  /** Resolves when messages come. Idempotent. */
  start(): Promise<void> {
    return this.#intake.start();
  }

  /** No message begins any more; what runs goes on, and what has not begun goes back. Idempotent. */
  stop(): void {
    this.#intake.stop();
  }

  #onDeleted(): void {
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
    const { running, inbox, observer } = this.#init;
    const work = new Work(delivery, progressOf(delivery.message), this.#onOutcomes);
    running.add(work);
    this.#intake.begin();
    observer?.delivered(work);
    try {
      const handled = this.#handle(work);
      if (handled !== undefined) await handled;
    } catch (error) {
      // Here the broker failed, not the handler: the message stays, for this or another instance, but not at once.
      this.#init.report(error);
      await this.#pause();
      this.#intake.giveBack(delivery);
    } finally {
      inbox?.release(work);
      observer?.settled(work);
      this.#intake.end();
      running.remove(work);
    }
  }

  /** So that what can't be settled does not come again and again without end. */
  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#init.clock.setTimer(BROKER_FAILURE_PAUSE_MS, resolve);
    });
  }

  #handle(work: Work): Promise<void> | void {
    const { progress, delivery } = work;
    // Before anything is done with it that the process may die of.
    if ((delivery.deliveryCount ?? 0) > this.#init.deliveryLimit) return this.#refuseDeadly(work);
    const early = progress.dueAt === undefined ? 0 : progress.dueAt - this.#init.clock.now();
    if (early > 0) return this.#waitFor(delivery, progress, early);
    let read: Incoming | Promise<Incoming>;
    try {
      read = readIncoming(delivery.message, this.#init.wire);
    } catch (error) {
      read = Promise.reject(error);
    }
    if (this.#reading !== undefined) read = this.#reading.next(read);
    return read instanceof Promise ? this.#handleRead(work, read) : this.#dispatch(work, read);
  }

  #refuseDeadly(work: Work): Promise<void> | void {
    const { deliveryCount = 0, message } = work.delivery;
    const why = `It was in hand ${deliveryCount} times when the process ended, or given back as failed.`;
    return this.#refuse(work, originOf(message), 'delivery-limit', why, new Error(why));
  }

  async #handleRead(work: Work, read: Promise<Incoming>): Promise<void> {
    let incoming: Incoming;
    try {
      incoming = await read;
    } catch (error) {
      const origin = originOf(work.delivery.message);
      const why = `The ${origin.kind} can't be read: ${describeError(error)}`;
      return this.#refuse(work, origin, 'unreadable', why, error);
    }
    return this.#dispatch(work, incoming);
  }

  #dispatch(work: Work, incoming: Incoming): Promise<void> | void {
    const { progress } = work;
    const due = this.#dueHandlers(incoming, progress);
    if (due.length === 0) return this.#refuse(work, incoming, 'no-handler', NO_MESSAGE_HANDLER);
    work.receive(incoming);
    if (incoming.kind === 'request') work.lateAt = lateAtOf(work.delivery.message, this.#init.clock.now());
    for (const handler of due) work.add(handler, progress.attempts + 1);
    return this.#runAll(work);
  }

  /** A delayed message came earlier than it is due: a link may wait in steps. */
  #waitFor(delivery: LinkDelivery, progress: Progress, ms: number): Promise<void> {
    const message = this.#settlement.again(delivery, originOf(delivery.message), progress, ms);
    return forwardFitting(this.#init.link(), delivery, [message]);
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

  async #runAll(work: Work): Promise<void> {
    const { inbox, witness, handlers } = this.#init;
    const held = heldBack(witness, handlers, work);
    if (held !== undefined) {
      await held;
      // Meanwhile it may have been stopped, or the message may have been lost.
      const isGone = !this.#intake.isOpen || work.delivery.settled;
      if (isGone && !handlers.noAck) return this.#intake.giveBack(work.delivery);
    }
    if (inbox !== undefined) {
      const admitted = inbox.admit(work);
      if (admitted !== undefined) await admitted;
    }
    const { runs } = work;
    const [first] = runs as [Run];
    // Most messages have one handler.
    if (runs.length === 1) await this.#run(first);
    else await Promise.all(runs.map(async (run) => this.#run(run)));
    if (work.settling !== undefined) await work.settling;
  }

  #run(run: Run): Promise<void> | undefined {
    if (run.outcome === undefined)
      return this.#lanes.execute(run).then((outcome) => this.#conclude(run, outcome));
    // Not to be run: a duplicate.
    if (run.outcome.kind === 'done') this.#init.observer?.duplicate(run);
    return undefined;
  }

  #conclude(run: Run, outcome: Outcome): void {
    const { runs } = run.work;
    // An ordered run may have gone on as another one.
    const last = runs.includes(run) ? run : (runs.find(({ handler }) => handler === run.handler) ?? run);
    if (last.settle(outcome) || last.outcome === outcome) return;
    if (!('error' in outcome) || last.signal.aborted) return;
    this.#log.failedAfterSettling(run, outcome.error);
  }

  /** Each run of a message has its outcome: its delivery is settled, though a handler may still be busy. */
  readonly #onOutcomes = (work: Work): void => {
    for (const run of work.runs) if (run.outcome?.kind !== 'done') this.#log.failed(run, run.outcome);
    const settling = this.#settlement.settle(work);
    if (settling === undefined) return;
    work.settling = settling;
    // Awaited when its handlers have ended; until then a rejection is not unhandled.
    settling.catch(() => undefined);
  };

  async #giveUp(work: Work, origin: Origin, reason: DeadLetterReason, error: unknown): Promise<void> {
    const { handlers, clock, observer } = this.#init;
    const { queue, deadLetterQueue } = handlers;
    const { delivery, progress } = work;
    const cause = {
      queue,
      deadLetterQueue,
      reason,
      error,
      attempts: progress.attempts + 1,
      nowMs: clock.now(),
    };
    this.#log.givenUp(delivery, origin, cause);
    observer?.refused(work, reason);
    if (delivery.settled) return;
    const letter = deadLetter(delivery, origin, progress.handlers, cause);
    await forwardFitting(this.#init.link(), delivery, [letter]);
  }

  /** Tells the caller; an event, or a request without a caller, is dead-lettered. */
  #refuse(
    work: Work,
    origin: Origin,
    reason: DeadLetterReason,
    message: string,
    cause?: unknown,
  ): Promise<void> | void {
    const { delivery } = work;
    const isRequest = origin.kind === 'request';
    if (!isRequest || delivery.message.properties.replyTo === undefined) {
      const error = cause ?? (isRequest ? new Error(message) : undefined);
      return this.#giveUp(work, origin, reason, error);
    }
    void new Replies(this.#init, delivery, origin.replyFormat).send({ err: { status: 'error', message } });
    delivery.ack();
    return undefined;
  }
}
