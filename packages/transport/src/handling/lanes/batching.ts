import type { Clock, Timer } from '@nestmq/broker';
import type { Execute } from '../execute.js';
import { type Outcome, REQUEUE } from '../outcome.js';
import type { Run } from '../work.js';
import { type Gate, through } from './gate.js';

/** Hands runs over together; the outcomes are in their order. */
export type ExecuteBatch = (runs: readonly Run[]) => Promise<readonly Outcome[]>;

export interface BatchingInit {
  readonly clock: Clock;
  readonly size: number;
  /** How long the first of a batch waits for others. */
  readonly timeoutMs: number;
  readonly gates: readonly Gate[];
}

interface Member {
  readonly run: Run;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Batch {
  readonly members: Member[];
  timer: Timer | undefined;
}

/**
 * Collects runs until there are enough of them or the first has waited long enough. A batch that has to wait for its
 * turn goes on filling meanwhile.
 */
export class Batching {
  readonly #init: BatchingInit;
  readonly #executeBatch: ExecuteBatch;
  /** The one that is being filled. */
  #open: Batch | undefined;
  #stopped = false;

  constructor(init: BatchingInit, executeBatch: ExecuteBatch) {
    this.#init = init;
    this.#executeBatch = executeBatch;
  }

  readonly execute: Execute = (run) => {
    if (this.#stopped) return Promise.resolve(REQUEUE);
    return new Promise((resolve, reject) => this.#add({ run, resolve, reject }));
  };

  /** A batch that is not full goes back. Idempotent. */
  stop(): void {
    this.#stopped = true;
    const open = this.#open;
    // One that waits at a gate is told by the gate.
    if (open?.timer === undefined) return;
    this.#close(open);
    for (const { resolve } of open.members) resolve(REQUEUE);
  }

  start(): void {
    this.#stopped = false;
  }

  #add(member: Member): void {
    const batch = (this.#open ??= this.#new());
    batch.members.push(member);
    if (batch.members.length < this.#init.size) return;
    this.#open = undefined;
    this.#due(batch);
  }

  #new(): Batch {
    const batch: Batch = { members: [], timer: undefined };
    batch.timer = this.#init.clock.setTimer(this.#init.timeoutMs, () => this.#due(batch));
    return batch;
  }

  /** It is to be handled; once. */
  #due(batch: Batch): void {
    if (batch.timer === undefined) return;
    batch.timer.cancel();
    batch.timer = undefined;
    void this.#handle(batch);
  }

  /** Nothing is added to it any more. */
  #close(batch: Batch): void {
    if (this.#open === batch) this.#open = undefined;
    batch.timer?.cancel();
    batch.timer = undefined;
  }

  async #handle(batch: Batch): Promise<void> {
    const { members } = batch;
    try {
      const isStale = (): boolean => members.every(({ run }) => run.isStale);
      const began = await through(this.#init.gates, isStale, () => this.#begin(batch));
      if (began !== undefined) return;
      this.#close(batch);
      for (const { resolve } of members) resolve(REQUEUE);
    } catch (error) {
      this.#close(batch);
      for (const { reject } of members) reject(error);
    }
  }

  async #begin(batch: Batch): Promise<true> {
    this.#close(batch);
    const fresh = batch.members.filter(({ run }) => !run.isStale);
    for (const { run, resolve } of batch.members) if (run.isStale) resolve(REQUEUE);
    if (fresh.length === 0) return true;
    const outcomes = await this.#executeBatch(fresh.map(({ run }) => run));
    for (const [place, { resolve }] of fresh.entries()) resolve(outcomes[place] as Outcome);
    return true;
  }
}
