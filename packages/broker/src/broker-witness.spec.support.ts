import type { Broker } from './broker.js';
import { fail } from './broker-expectation.spec.support.js';
import { isRefusal } from './broker-inspection.spec.support.js';
import type { BrokerModel } from './broker-model.spec.support.js';
import type { Connection } from './connection.js';

/** Hears what the engine says about what was done: what is durable, and what it refuses. */
export class Witness {
  /** What was wrong where nobody could be told. */
  #violation: Error | undefined;
  /** The engine could not say whether a definition was changed: nobody knows what it has now. */
  isDoubtful = false;
  /** The disk may have been made to fail. */
  hasTrouble = false;
  #ended = false;

  constructor(
    readonly broker: Broker,
    readonly model: BrokerModel,
    readonly trace: (line: string) => void,
  ) {}

  /** What the engine does after the machine was stopped concerns nobody. */
  end(): void {
    this.#ended = true;
  }

  /** Nothing is accepted, for now or for good. */
  get hasFailed(): boolean {
    return this.broker.failure !== undefined;
  }

  assertNothingWrong(): void {
    if (this.#violation !== undefined) throw this.#violation;
    const { failure } = this.broker;
    if (failure !== undefined && !this.hasTrouble) fail(`the engine failed by itself: ${failure.message}`);
  }

  /** What there is no exchange for, and what the engine can't store, is refused; then nothing has changed. */
  protected attempt<R>(operation: () => R): R | 'no exchange' | 'refused' {
    try {
      return operation();
    } catch (error) {
      if (isRefusal(error, 'NOT_FOUND')) return 'no exchange';
      this.assertMayFail(error);
      this.trace('  refused: the engine has failed');
      return 'refused';
    }
  }

  /** All that was done before is durable, when the engine says so. */
  awaitDurable(connection: Connection): void {
    this.trace('wait for all to be durable');
    const { steps } = this.model;
    const upTo = steps.begun;
    connection.durable().then(
      () => this.#unlessEnded(() => steps.confirmAll(upTo)),
      (error: unknown) => this.carefully(() => this.assertMayFail(error)),
    );
  }

  protected watch<R>(step: number, change: Promise<R>, check?: (result: R) => void): void {
    change.then(
      (result) =>
        this.carefully(() => {
          this.model.steps.confirm(step);
          check?.(result);
        }),
      (error: unknown) =>
        this.carefully(() => {
          this.model.steps.refuse(step);
          this.isDoubtful = true;
          this.assertMayFail(error);
        }),
    );
  }

  protected told(step: number, error: Error | undefined): void {
    this.carefully(() => {
      if (error === undefined) return this.model.steps.confirm(step);
      this.model.steps.refuse(step);
      return this.assertMayFail(error);
    });
  }

  protected assertMayFail(error: unknown): void {
    const isKnown = isRefusal(error, 'STORE_FAILED') || isRefusal(error, 'BLOCKED');
    if (!isKnown || !this.hasTrouble) throw error;
  }

  #unlessEnded(then: () => void): void {
    if (!this.#ended) then();
  }

  protected carefully(then: () => void): void {
    this.#unlessEnded(() => {
      try {
        then();
      } catch (error) {
        this.#violation ??= error as Error;
      }
    });
  }
}
