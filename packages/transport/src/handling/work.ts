import type { LinkDelivery } from '../links/link.js';
import { QueueContext } from '../queue.context.js';
import { NO_PROGRESS, type Progress } from './address.js';
import type { RegisteredHandler } from './handler-table.js';
import type { Incoming } from '../wire/incoming.js';
import type { Outcome } from './outcome.js';

/** One attempt of one handler at one message. */
export class Run {
  readonly context: QueueContext;
  /** The error of the handler as it was thrown, before filters made another of it. */
  thrown: { readonly error: unknown } | undefined;
  #outcome: Outcome | undefined;
  #controller: AbortController | undefined;
  #abortedBy: Error | undefined;
  #timeLimit: TimeLimit | undefined;
  #asked: Outcome | undefined;
  #triedInPlace = false;

  constructor(
    readonly work: Work,
    readonly handler: RegisteredHandler,
    /** 1 is the first. */
    readonly attempt: number,
  ) {
    this.context = new QueueContext([work.delivery, work.received.pattern, this]);
  }

  get outcome(): Outcome | undefined {
    return this.#outcome;
  }

  /** What the handler asked for by hand, when who holds its key has to see to it. */
  get asked(): Outcome | undefined {
    return this.#asked;
  }

  /** Nothing can come of it any more: its connection was lost, or it was given up. */
  get isStale(): boolean {
    return this.#abortedBy !== undefined || (this.work.delivery.settled && !this.handler.policy.noAck);
  }

  /** Aborts when nobody waits for this run any more. A controller is made for those who look: few do. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortedBy !== undefined) this.#controller.abort(this.#abortedBy);
    }
    return this.#controller.signal;
  }

  /** The first outcome counts; later ones do nothing and return false. */
  settle(outcome: Outcome): boolean {
    if (this.#outcome !== undefined) return false;
    this.#outcome = outcome;
    this.work.onOutcome();
    return true;
  }

  /**
   * The handler's own word. When it is tried again in place, what is not the end of the message is kept in
   * {@link Run.asked}.
   */
  settleByHand(outcome: Outcome): void {
    if (this.#outcome !== undefined || this.#asked !== undefined) return;
    if (this.#triedInPlace && (outcome.kind === 'retry' || outcome.kind === 'requeue')) this.#asked = outcome;
    else this.settle(outcome);
  }

  /** Its attempts are made one after the other, with the message unsettled. */
  tryInPlace(): void {
    this.#triedInPlace = true;
  }

  /** Nobody waits any more: the signal aborts, and what the handler still says does not count. */
  abort(reason: Error): void {
    this.#abortedBy ??= reason;
    this.#controller?.abort(reason);
  }

  limitBy(limit: TimeLimit): void {
    this.#timeLimit = limit;
  }

  /** Gives the handler more time; returns false when it has no limit. Milliseconds from now. */
  extend(ms: number): boolean {
    this.#timeLimit?.extend(ms);
    return this.#timeLimit !== undefined;
  }

  /** The same handler again, on the same delivery. `counts`: this attempt is used up. */
  next(counts: boolean): Run {
    const next = this.work.add(this.handler, counts ? this.attempt + 1 : this.attempt, this);
    next.#triedInPlace = this.#triedInPlace;
    return next;
  }
}

export interface TimeLimit {
  extend(ms: number): void;
}

/** One delivery, and what its handlers make of it. */
export class Work {
  readonly runs: Run[] = [];
  /** Of a request: from when on nobody waits for its answer. Undefined: not known. Milliseconds since the epoch. */
  lateAt: number | undefined;
  /** Set once each run has its outcome, if settling its delivery is to be waited for. */
  settling: Promise<void> | undefined;
  readonly #onOutcomes: (work: Work) => void;
  #received: Incoming | undefined;

  /** `onOutcomes`: called when each run has its outcome. */
  constructor(
    readonly delivery: LinkDelivery,
    readonly progress: Progress = NO_PROGRESS,
    onOutcomes: (work: Work) => void = () => {},
  ) {
    this.#onOutcomes = onOutcomes;
  }

  /** Once it has been read. */
  get received(): Incoming {
    if (this.#received === undefined) throw new Error('The message has not been read yet.');
    return this.#received;
  }

  receive(received: Incoming): void {
    this.#received = received;
  }

  /** `instead`: of an earlier run. */
  add(handler: RegisteredHandler, attempt: number, instead?: Run): Run {
    const run = new Run(this, handler, attempt);
    if (instead === undefined) this.runs.push(run);
    else this.runs[this.runs.indexOf(instead)] = run;
    return run;
  }

  onOutcome(): void {
    for (const { outcome } of this.runs) if (outcome === undefined) return;
    this.#onOutcomes(this);
  }

  /** Gives the message back, and tells its handlers. */
  abandon(reason: Error): void {
    this.delivery.requeue({ failed: false });
    for (const run of this.runs) run.abort(reason);
  }
}
