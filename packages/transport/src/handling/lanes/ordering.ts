import type { Clock } from '@nestmq/broker';
import type { Execute } from '../execute.js';
import { DONE, type Outcome, REQUEUE } from '../outcome.js';
import type { Run } from '../work.js';
import type { Intake } from './intake.js';
import { KeyTurns } from './key-turns.js';
import { orderingKeyOf } from './ordering-key.js';

/** Longer than this no timer is set at once: Node's end at 2^31 ms. Milliseconds. */
const STEP_MS_MAX = 86_400_000;

export interface OrderingInit {
  readonly clock: Clock;
  readonly intake: Intake;
  /** An attempt has failed and another follows in place. */
  readonly onRetry: (run: Run, outcome: Outcome) => void;
}

/**
 * Messages with the same key one after the other, in the order in which they came; a failed one holds its key until its
 * last attempt has been made. Those without a key go as they come. What is stale when its turn comes is left out.
 */
export class Ordering {
  readonly #init: OrderingInit;
  readonly #execute: Execute;
  readonly #turns = new KeyTurns();

  constructor(init: OrderingInit, execute: Execute) {
    this.#init = init;
    this.#execute = execute;
  }

  /** How many keys are held now. */
  get keys(): number {
    return this.#turns.size;
  }

  readonly execute: Execute = async (run) => {
    let key: string | undefined;
    try {
      key = orderingKeyOf(run, run.handler.policy.orderingKey);
    } catch (error) {
      return { kind: 'dead', reason: 'unrecoverable', error };
    }
    if (key === undefined) return this.#execute(run);
    run.tryInPlace();
    const turn = this.#turns.take(key);
    if (turn !== undefined) await turn;
    try {
      return await this.#attempts(run);
    } finally {
      this.#turns.pass(key);
    }
  };

  async #attempts(first: Run): Promise<Outcome> {
    const { intake, onRetry } = this.#init;
    for (let run = first; ;) {
      if (run.work.delivery.settled) return DONE;
      if (intake.stopped) return REQUEUE;
      const outcome = await this.#execute(run);
      if (outcome.kind === 'done' || outcome.kind === 'dead') return outcome;
      if (intake.stopped) return REQUEUE;
      onRetry(run, outcome);
      const retry = outcome.kind === 'retry' ? outcome : { delayMs: 0, counts: false };
      run = run.next(retry.counts);
      await this.#pause(run, retry.delayMs);
    }
  }

  /** Resolves after `delayMs`, or at once when the intake stops or the message is lost. */
  #pause(run: Run, delayMs: number): Promise<void> {
    const { clock, intake } = this.#init;
    return new Promise((resolve) => {
      let left = delayMs;
      const end = (): void => {
        timer.cancel();
        forget();
        run.signal.removeEventListener('abort', end);
        resolve();
      };
      const step = (): ReturnType<Clock['setTimer']> => {
        const ms = Math.min(left, STEP_MS_MAX);
        left -= ms;
        return clock.setTimer(ms, () => {
          if (left > 0) timer = step();
          else end();
        });
      };
      let timer = step();
      const forget = intake.onStop(end);
      run.signal.addEventListener('abort', end);
    });
  }
}
