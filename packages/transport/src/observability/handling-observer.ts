import type { Message } from '@nestmq/broker';
import { progressOf } from '../handling/address.js';
import type { Execute } from '../handling/execute.js';
import type { RegisteredHandler } from '../handling/handler-table.js';
import { type DeadLetterReason, type Outcome, REQUEUE } from '../handling/outcome.js';
import type { Run, Work } from '../handling/work.js';
import type { ExecuteBatch } from '../handling/lanes/batching.js';
import type { LinkDelivery } from '../links/link.js';
import { exchangeOf, HEADER } from '../envelope.js';
import { readEnvelope } from '../wire/incoming.js';
import type { HandlerLabels, HandlingResult, QueueMetrics } from './metrics.js';
import type { Observers } from './observers.js';
import type { Destination, OpenSpan, Tracing } from './tracing.js';

export interface HandlingObserverInit extends Observers {
  readonly queue: string;
}

/** Undefined when there is nothing to see it with: then handling pays nothing for it. */
export function handlingObserver(init: HandlingObserverInit): HandlingObserver | undefined {
  return init.metrics === undefined && init.tracing === undefined ? undefined : new HandlingObserver(init);
}

/** The same, and each attempt is seen. */
export function observed(execute: Execute, observer: HandlingObserver | undefined): Execute {
  if (observer === undefined) return execute;
  return async (run) => {
    const [outcome] = await observer.process([run], async () => [await execute(run)]);
    return outcome as Outcome;
  };
}

/** As {@link observed}. */
export function observedBatch(execute: ExecuteBatch, observer: HandlingObserver | undefined): ExecuteBatch {
  return observer === undefined ? execute : (runs) => observer.process(runs, () => execute(runs));
}

/** Sees the messages of one queue on their way: for metrics and spans. It changes nothing. */
export class HandlingObserver {
  readonly #init: HandlingObserverInit;
  readonly #received = new WeakMap<LinkDelivery, OpenSpan>();

  constructor(init: HandlingObserverInit) {
    this.#init = init;
  }

  /** A message has come. */
  delivered(delivery: LinkDelivery): void {
    const { queue, metrics, tracing } = this.#init;
    metrics?.delivered(queue, this.#waitOf(delivery));
    if (tracing?.isActive !== true) return;
    const { message } = delivery;
    this.#received.set(delivery, tracing.receive(message, { ...placeOf(message), queue }));
  }

  /** It is settled, or back in its queue. */
  settled({ delivery, runs }: Work): void {
    const received = this.#received.get(delivery);
    if (received === undefined) return;
    const outcomes = runs.map(({ outcome }) => outcome?.kind ?? 'none');
    received.span.addEvent('settle', { 'nestmq.outcomes': outcomes });
    received.span.end();
  }

  /** It was given up without a handler. */
  refused(delivery: LinkDelivery, reason: DeadLetterReason): void {
    this.#init.metrics?.deadLettered(this.#init.queue, undefined, reason);
    this.#received.get(delivery)?.span.setAttribute('nestmq.dead_letter.reason', reason);
  }

  /** A handler had it before, and does not get it again. */
  duplicate({ handler }: Pick<Run, 'handler'>): void {
    this.#init.metrics?.duplicate(labelsOf(handler));
  }

  /** Around one attempt of a handler; several runs are a batch. There is an outcome for each. */
  async process(runs: readonly Run[], call: () => Promise<readonly Outcome[]>): Promise<readonly Outcome[]> {
    const { metrics, clock } = this.#init;
    if (metrics === undefined) return this.#traced(runs, call);
    const startedAt = clock.now();
    for (const { handler } of runs) metrics.started(labelsOf(handler));
    let outcomes: readonly Outcome[] = [];
    try {
      return (outcomes = await this.#traced(runs, call));
    } finally {
      const durationMs = Math.max(0, clock.now() - startedAt);
      for (const [place, run] of runs.entries())
        this.#count(metrics, run, wordOf(run, outcomes[place]), durationMs);
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
    const { message } = work.delivery;
    const isOne = runs.length === 1;
    const received = runs.map((run) => this.#received.get(run.work.delivery));
    return tracing.process({
      received: received.filter((span) => span !== undefined),
      pattern: handler.pattern,
      message: isOne ? message : undefined,
      destination: { ...placeOf(message), queue: this.#init.queue },
      attributes: isOne
        ? { 'nestmq.attempt': attempt, 'nestmq.max_attempts': handler.policy.retry.attempts }
        : { 'messaging.batch.message_count': runs.length },
    });
  }

  /** Since it was published, or was due: only for what comes for the first time. Milliseconds. */
  #waitOf({ message, redelivered }: LinkDelivery): number | undefined {
    const { attempts, dueAt } = progressOf(message);
    const { timestamp } = message.properties;
    const since = dueAt ?? (timestamp === undefined ? undefined : timestamp * 1000);
    if (redelivered || attempts > 0 || since === undefined) return undefined;
    return Math.max(0, this.#init.clock.now() - since);
  }
}

/** What the handler said by hand goes first; a broker that failed has made nothing of it. */
function wordOf({ outcome }: Run, executed: Outcome = REQUEUE): Outcome {
  return outcome ?? executed;
}

function labelsOf({ policy, pattern }: RegisteredHandler): HandlerLabels {
  return { queue: policy.queue, pattern };
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
function placeOf(message: Message): Destination {
  const exchange = message.properties.headers?.[HEADER.exchange];
  if (exchangeOf(message) !== '' || typeof exchange !== 'string' || exchange === '') return message;
  return { exchange, routingKey: readEnvelope(message).pattern };
}
