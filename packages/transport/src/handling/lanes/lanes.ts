import type { Clock } from '@nestmq/broker';
import type { Execute } from '../execute.js';
import type { RegisteredHandler } from '../handler-table.js';
import type { Outcome } from '../outcome.js';
import { REQUEUE } from '../outcome.js';
import type { Run } from '../work.js';
import { Batching, type ExecuteBatch } from './batching.js';
import { ConcurrencyGate } from './concurrency.js';
import { type Gate, through } from './gate.js';
import { Intake } from './intake.js';
import { Ordering } from './ordering.js';
import { RateLimitGate } from './rate-limit.js';

export interface LanesInit {
  readonly clock: Clock;
  /** How a handler is executed when its turn has come. */
  readonly executeOf: (handler: RegisteredHandler) => Execute;
  readonly executeBatch: ExecuteBatch;
  readonly onRetry: (run: Run, outcome: Outcome) => void;
}

/**
 * What the policies of a queue's handlers hold back: each handler has its own gates, its order and its batches. What
 * waits is unsettled, and goes back as soon as the intake stops.
 */
export class Lanes {
  readonly #init: LanesInit;
  readonly #intake = new Intake();
  readonly #stoppable: { stop(): void; start(): void }[] = [this.#intake];
  readonly #executes: ReadonlyMap<RegisteredHandler, Execute>;

  constructor(init: LanesInit, handlers: readonly RegisteredHandler[]) {
    this.#init = init;
    this.#executes = new Map(handlers.map((handler) => [handler, this.#laneOf(handler)]));
  }

  /** One of the handlers that the lanes were made for. */
  execute(run: Run): Promise<Outcome> {
    return (this.#executes.get(run.handler) as Execute)(run);
  }

  /** Nothing begins any more: what waits goes back. */
  stop(): void {
    for (const lane of this.#stoppable) lane.stop();
  }

  start(): void {
    for (const lane of this.#stoppable) lane.start();
  }

  #laneOf(handler: RegisteredHandler): Execute {
    const { clock, executeOf, executeBatch, onRetry } = this.#init;
    const { batch, orderingKey } = handler.policy;
    const gates = this.#gatesOf(handler);
    if (batch !== undefined) {
      const batching = new Batching({ ...batch, clock, gates }, executeBatch);
      this.#stoppable.push(batching);
      return batching.execute;
    }
    const execute = gated(gates, executeOf(handler));
    if (orderingKey === undefined) return execute;
    return new Ordering({ clock, intake: this.#intake, onRetry }, execute).execute;
  }

  /** The rate is the last one: it counts what really starts. */
  #gatesOf({ policy: { concurrency, rateLimit } }: RegisteredHandler): readonly Gate[] {
    const gates: Gate[] = [];
    if (concurrency !== undefined) gates.push(new ConcurrencyGate(concurrency));
    if (rateLimit !== undefined) gates.push(new RateLimitGate(this.#init.clock, rateLimit));
    this.#stoppable.push(...gates);
    return gates;
  }
}

function gated(gates: readonly Gate[], execute: Execute): Execute {
  if (gates.length === 0) return execute;
  return async (run) => {
    const outcome = await through(
      gates,
      () => run.isStale,
      () => execute(run),
    );
    return outcome ?? REQUEUE;
  };
}
