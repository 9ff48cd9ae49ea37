import type { WitnessedArrival } from '@nestmq/transport';
import { isMeant } from './matching.js';
import { Reorderings, type ReorderingInit } from './reordering.js';
import type { SeenMessage } from './seen.js';

interface Planned {
  readonly pattern: string;
  readonly error: unknown;
  left: number;
}

interface Held {
  readonly promise: Promise<void>;
  readonly release: () => void;
}

/** What is to go wrong, and has not yet. */
export class Faults {
  #failures: Planned[] = [];
  #duplicates: Planned[] = [];
  #held: Held | undefined;
  readonly #reorderings: Reorderings;

  constructor(init: ReorderingInit) {
    this.#reorderings = new Reorderings(init);
  }

  fail(pattern: string, error: unknown, times: number): void {
    this.#failures.push(plan(pattern, error, times));
  }

  duplicate(pattern: string, times: number): void {
    this.#duplicates.push(plan(pattern, undefined, times));
  }

  reorder(pattern: string, count: number): Promise<readonly SeenMessage[]> {
    return this.#reorderings.plan(pattern, count);
  }

  heldBack(arrival: WitnessedArrival, seen: SeenMessage): Promise<void> | undefined {
    return this.#reorderings.hold(arrival, seen);
  }

  /** What is held back to be reordered is handed over, in the order in which it came. */
  releaseMessages(): void {
    this.#reorderings.release();
  }

  /** From now on nobody is told of confirms, until what is returned is called. That is idempotent. */
  holdConfirms(): () => void {
    if (this.#held !== undefined) throw new Error('Confirms are delayed already: release them first.');
    const held = (this.#held = heldPromise());
    return () => {
      if (this.#held === held) this.#held = undefined;
      held.release();
    };
  }

  get held(): Promise<void> | undefined {
    return this.#held?.promise;
  }

  releaseConfirms(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  takeFailure(pattern: string): { readonly error: unknown } | undefined {
    return take(this.#failures, pattern);
  }

  takeDuplicate(pattern: string): boolean {
    return take(this.#duplicates, pattern) !== undefined;
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#forget();
    this.#reorderings.release();
  }

  /** The same, and who is killed is handed over nothing more. */
  crash(): void {
    this.#forget();
    this.#reorderings.drop();
  }

  #forget(): void {
    this.#failures = [];
    this.#duplicates = [];
    this.releaseConfirms();
  }
}

/** Throws TypeError for what can't be meant: found out later, it would be the error of a message. */
function plan(pattern: string, error: unknown, times: number): Planned {
  if (typeof pattern !== 'string') throw new TypeError(`The pattern is no string, but ${typeof pattern}.`);
  if (Number.isInteger(times) && times > 0) return { pattern, error, left: times };
  throw new TypeError(`'times' is ${String(times)}. Give a whole number, 1 or more.`);
}

function heldPromise(): Held {
  let release!: () => void;
  const promise = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { promise, release };
}

function take(planned: readonly Planned[], pattern: string): Planned | undefined {
  const found = planned.find((one) => one.left > 0 && isMeant(one.pattern, pattern));
  if (found !== undefined) found.left--;
  return found;
}
