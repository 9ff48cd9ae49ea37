import { originOf, progressOf } from './address.js';
import type { Execute } from './execute.js';
import type { ExecuteBatch } from './lanes/batching.js';
import type { RegisteredHandler } from './handler-table.js';
import { type Outcome, REQUEUE } from './outcome.js';
import type { Run, Work } from './work.js';
import { type DeadLetterReason, EVENTS_EXCHANGE, exchangeOf, REQUESTS_EXCHANGE } from '../envelope.js';
import type { HandlerLabels, HandlingResult, QueueMetrics } from '../observability/metrics.js';
import type { Observers } from '../observability/observers.js';
import type { Destination, OpenSpan, Tracing } from '../observability/tracing.js';
import type { WitnessedAttempt, WitnessedResult } from '../observability/witness.js';

export interface HandlingObserverInit extends Observers {
  readonly queue: string;
}

/** Undefined when there is nothing to see it with: then handling pays nothing for it. */
export function handlingObserver(init: HandlingObserverInit): HandlingObserver | undefined {
  const { metrics, tracing, witness } = init;
  return [metrics, tracing, witness].every((one) => one === undefined)
    ? undefined
    : new HandlingObserver(init);
}

/** The same, and each attempt is seen. */
export function observed(execute: Execute, observer: HandlingObserver | undefined): Execute {
  if (observer === undefined) return execute;
  const seen = async (run: Run): Promise<Outcome> => {
    const [outcome] = await observer.process([run], async () => [await execute(run)]);
    return outcome as Outcome;
  };
  return (run) => (observer.isLooking ? seen(run) : execute(run));
}

/** The same, and each batch is seen. */
export function observedBatch(execute: ExecuteBatch, observer: HandlingObserver | undefined): ExecuteBatch {
  return observer === undefined ? execute : (runs) => observer.process(runs, () => execute(runs));
}

/** Sees the messages of one queue on their way: for metrics and spans. It changes nothing. */
export class HandlingObserver {
  readonly #init: HandlingObserverInit;
  readonly #received = new WeakMap<Work, OpenSpan>();

  constructor(init: HandlingObserverInit) {
    this.#init = init;
  }

  /** A tracing package may be there without anybody who wants spans. */
  get isLooking(): boolean {
    const { metrics, tracing, witness } = this.#init;
    return metrics !== undefined || witness !== undefined || tracing?.isActive === true;
  }

  /** A message has come. */
  delivered(work: Work): void {
    const { queue, metrics, tracing, witness } = this.#init;
    if (metrics !== undefined) metrics.delivered(queue, this.#waitOf(work));
    witness?.delivered(work, queue, work.delivery.message);
    if (tracing?.isActive !== true) return;
    const { message } = work.delivery;
    this.#received.set(work, tracing.receive(message, { ...placeOf(work), queue }));
  }

  /** It is settled, or back in its queue. */
  settled(work: Work): void {
    const isBack = work.runs.some(({ outcome }) => outcome === undefined || outcome.kind === 'requeue');
    this.#init.witness?.settled(work, work.delivery.settled && !isBack);
    const received = this.#received.get(work);
    if (received === undefined) return;
    const outcomes = work.runs.map(({ outcome }) => outcome?.kind ?? 'none');
    received.span.addEvent('settle', { 'nestmq.outcomes': outcomes });
    received.span.end();
  }

  /** It was given up without a handler. */
  refused(work: Work, reason: DeadLetterReason): void {
    const { queue, metrics, witness } = this.#init;
    const { message } = work.delivery;
    metrics?.deadLettered(queue, undefined, reason);
    witness?.refused(work, { queue, message, pattern: originOf(message).pattern }, reason);
    this.#received.get(work)?.span.setAttribute('nestmq.dead_letter.reason', reason);
  }

  /** A handler had it before, and does not get it again. */
  duplicate({ handler }: Pick<Run, 'handler'>): void {
    this.#init.metrics?.duplicate(labelsOf(handler));
  }

  /** Around one attempt of a handler; several runs are a batch. Their outcomes are in their order. */
  async process(runs: readonly Run[], call: () => Promise<readonly Outcome[]>): Promise<readonly Outcome[]> {
    const { metrics, clock, witness } = this.#init;
    if (metrics === undefined && witness === undefined) return this.#traced(runs, call);
    const startedAt = clock.now();
    for (const run of runs) {
      metrics?.started(labelsOf(run.handler));
      witness?.started(attemptOf(run));
    }
    let outcomes: readonly Outcome[] = [];
    try {
      return (outcomes = await this.#traced(runs, call));
    } finally {
      const durationMs = Math.max(0, clock.now() - startedAt);
      for (const [place, run] of runs.entries()) {
        const outcome = wordOf(run, outcomes[place]);
        if (metrics !== undefined) this.#count(metrics, run, outcome, durationMs);
        witness?.ended(run.work, attemptOf(run), witnessedResultOf(run, outcome));
      }
    }
  }

  #count(metrics: QueueMetrics, run: Run, outcome: Outcome, durationMs: number): void {
    const labels = labelsOf(run.handler);
    const result = resultOf(run, outcome);
    metrics.ended(labels, result, durationMs);
    if (result === 'dead-lettered' && outcome.kind === 'dead')
      metrics.deadLettered(labels.queue, labels, outcome.reason);
  }

  async #traced(runs: readonly Run[], call: () => Promise<readonly Outcome[]>): Promise<readonly Outcome[]> {
    const { tracing } = this.#init;
    if (tracing?.isActive !== true) return call();
    const open = this.#open(tracing, runs);
    try {
      const outcomes = await tracing.run(open, call);
      tell(tracing, open, runs, outcomes);
      return outcomes;
    } catch (error) {
      tracing.fail(open.span, error);
      throw error;
    } finally {
      open.span.end();
    }
  }

  #open(tracing: Tracing, runs: readonly Run[]): OpenSpan {
    const [{ work, handler, attempt }] = runs as [Run];
    const received = runs.map((run) => this.#received.get(run.work)).filter((span) => span !== undefined);
    return tracing.process({
      received,
      pattern: handler.pattern,
      message: runs.length === 1 ? work.delivery.message : undefined,
      destination: { ...placeOf(work), queue: this.#init.queue },
      attributes:
        runs.length === 1
          ? { 'nestmq.attempt': attempt, 'nestmq.max_attempts': handler.policy.retry.attempts }
          : { 'messaging.batch.message_count': runs.length },
    });
  }

  /** Since it was published, or was due: only for what comes for the first time. Milliseconds. */
  #waitOf({ delivery }: Work): number | undefined {
    if (delivery.redelivered) return undefined;
    const { attempts, dueAt } = progressOf(delivery.message);
    const { timestamp } = delivery.message.properties;
    if (attempts > 0 || (dueAt ?? timestamp) === undefined) return undefined;
    return Math.max(0, this.#init.clock.now() - (dueAt ?? Number(timestamp) * 1000));
  }
}

function labelsOf({ policy, pattern }: RegisteredHandler): HandlerLabels {
  return { queue: policy.queue, pattern };
}

function attemptOf({ handler, work, attempt }: Run): WitnessedAttempt {
  const { pattern, kind, data } = work.received;
  const { message } = work.delivery;
  return { queue: handler.policy.queue, handler: handler.pattern, pattern, kind, data, message, attempt };
}

function witnessedResultOf(run: Run, outcome: Outcome): WitnessedResult {
  const error = 'error' in outcome ? outcome.error : run.thrown?.error;
  const result = resultOf(run, outcome);
  return {
    result,
    ...(error === undefined ? {} : { error }),
    ...(outcome.kind === 'retry' && result === 'retried' ? { delayMs: outcome.delayMs } : {}),
    ...(outcome.kind === 'dead' ? { reason: outcome.reason } : {}),
  };
}

function resultOf({ thrown, handler, work }: Run, { kind }: Outcome): HandlingResult {
  const { noAck, deadLetterQueue } = handler.policy;
  switch (kind) {
    case 'done':
      return work.received.kind === 'request' && thrown !== undefined ? 'failed' : 'handled';
    case 'retry':
      return noAck ? 'discarded' : 'retried';
    case 'dead':
      return noAck || deadLetterQueue === undefined ? 'discarded' : 'dead-lettered';
    default:
      return 'requeued';
  }
}

/** What the handler said by hand goes first; a broker that failed has made nothing of it. */
function wordOf({ outcome }: Run, executed: Outcome = REQUEUE): Outcome {
  return outcome ?? executed;
}

/** The runs of a batch share a span: it has all their results, and the first of their errors. */
function tell(
  tracing: Tracing,
  { span }: OpenSpan,
  runs: readonly Run[],
  outcomes: readonly Outcome[],
): void {
  const words = runs.map((run, place) => wordOf(run, outcomes[place]));
  const results = new Set(runs.map((run, place) => resultOf(run, words[place] as Outcome)));
  span.setAttribute('nestmq.result', [...results].join(', '));
  const [word] = words;
  if (runs.length === 1 && word?.kind === 'retry') span.setAttribute('nestmq.retry.delay_ms', word.delayMs);
  const failed = words.find((one) => 'error' in one);
  if (failed !== undefined) tracing.fail(span, failed.error);
  else if (results.has('failed')) tracing.fail(span, runs[0]?.thrown?.error);
}

/** Where it was published to, also when it has come back to its queue since. */
function placeOf({ delivery: { message } }: Work): Destination {
  const origin = originOf(message);
  if (exchangeOf(message) !== '' || origin.replyFormat === 'nest-rmq') return message;
  return {
    exchange: origin.kind === 'request' ? REQUESTS_EXCHANGE : EVENTS_EXCHANGE,
    routingKey: origin.pattern,
  };
}
