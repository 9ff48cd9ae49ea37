import type { Clock } from '@nestmq/broker';
import { HandlerTimeoutException } from '../retry.exceptions.js';
import { type Outcome, outcomeOf } from './outcome.js';
import type { Run, TimeLimit } from './work.js';

/**
 * Runs a handler, and what it answers becomes an outcome. Lanes (concurrency, rates, order, batches) are made of others
 * that they hold back. It rejects only when the broker fails, or what Nest does around a handler.
 */
export type Execute = (run: Run) => Promise<Outcome>;

export function failed(run: Run, error: unknown): Outcome {
  const thrown = run.thrown === undefined ? error : run.thrown.error;
  return outcomeOf(thrown, run.attempt, run.handler.policy.retry);
}

/**
 * What takes longer than the handler's time has failed, whatever comes of it: rejects with HandlerTimeoutException, and
 * all the runs are told.
 */
export function withinTime<T>(clock: Clock, runs: readonly Run[], call: () => Promise<T>): Promise<T> {
  const [{ handler }] = runs as [Run];
  const { timeoutMs } = handler.policy;
  if (timeoutMs === undefined) return call();
  return new Promise((resolve, reject) => {
    const onOver = (): void => {
      const error = new HandlerTimeoutException(handler.pattern, timeoutMs);
      for (const run of runs) run.abort(error);
      reject(error);
    };
    const limit = new Alarm(clock, onOver);
    limit.extend(timeoutMs);
    for (const run of runs) run.limitBy(limit);
    call()
      .then(resolve, reject)
      .finally(() => limit.stop());
  });
}

class Alarm implements TimeLimit {
  #timer: ReturnType<Clock['setTimer']> | undefined;
  #stopped = false;

  constructor(
    private readonly clock: Clock,
    private readonly onOver: () => void,
  ) {}

  extend(ms: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.clock.setTimer(ms, this.onOver);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
