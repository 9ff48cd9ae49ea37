/** Whether what has come to a queue's lanes may still begin. */
export class Intake {
  #stopped = false;
  readonly #onStop = new Set<() => void>();

  get stopped(): boolean {
    return this.#stopped;
  }

  /** `wake` is called if the intake stops; returns what makes it forget. */
  onStop(wake: () => void): () => void {
    this.#onStop.add(wake);
    return () => this.#onStop.delete(wake);
  }

  stop(): void {
    this.#stopped = true;
    for (const wake of this.#onStop) wake();
  }

  start(): void {
    this.#stopped = false;
  }
}
