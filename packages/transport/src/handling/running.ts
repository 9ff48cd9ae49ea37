import type { Work } from './work.js';

/** What handlers are busy with. */
export class Running {
  readonly #works = new Set<Work>();
  #onIdle: (() => void)[] = [];

  get size(): number {
    return this.#works.size;
  }

  add(work: Work): void {
    this.#works.add(work);
  }

  remove(work: Work): void {
    this.#works.delete(work);
    if (this.#works.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  /** Resolves when no handler runs any more. */
  idle(): Promise<void> {
    if (this.#works.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle.push(resolve);
    });
  }

  /** The works of a delivery that is lost: its handlers are told. */
  lose(delivery: Work['delivery'], reason: Error): void {
    for (const work of this.#works)
      if (work.delivery === delivery) for (const run of work.runs) run.abort(reason);
  }

  /** Aborts what still runs and gives its messages back; returns how many those are. */
  abandon(reason: Error): number {
    const abandoned = this.#works.size;
    for (const work of this.#works) work.abandon(reason);
    this.#works.clear();
    return abandoned;
  }
}
