/**
 * Whether what has come to a queue's lanes may still begin. It stops in two steps, since a queue with an order must not
 * be let go while one of its messages is handled: the next instance would begin with those after it.
 */
export class Intake {
  #stopped = false;
  #under = 0;
  #over: Promise<void> | undefined;
  #onOver: () => void = () => {};
  readonly #onStop = new Set<() => void>();
  #onIdle: (() => void) | undefined;

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Resolves when the queue has been let go, so that what is given back comes to another. */
  get over(): Promise<void> {
    return this.#over ?? Promise.resolve();
  }

  /** One of an order is under way. */
  begin(): void {
    this.#under += 1;
  }

  end(): void {
    this.#under -= 1;
    if (this.#under === 0) this.#onIdle?.();
  }

  /** `wake` is called once if the intake stops; returns what makes it forget. */
  onStop(wake: () => void): () => void {
    this.#onStop.add(wake);
    return () => this.#onStop.delete(wake);
  }

  /** Nothing begins any more. Resolves when nothing of an order is under way; undefined: it is not now. */
  stop(): Promise<void> | undefined {
    this.#stopped = true;
    this.#over = new Promise((resolve) => {
      this.#onOver = resolve;
    });
    const idle =
      this.#under === 0
        ? undefined
        : new Promise<void>((resolve) => {
            this.#onIdle = resolve;
          });
    for (const wake of this.#onStop) wake();
    return idle;
  }

  /** The queue has been let go. */
  release(): void {
    this.#onIdle = undefined;
    this.#onOver();
  }

  start(): void {
    this.#stopped = false;
    this.#over = undefined;
  }
}
