/** Has something to do, when it is its turn. */
export interface Turn {
  turn(): void;
}

/**
 * Runs turns soon: after what is ready to run now, so that timers and I/O are never starved by messages that make
 * messages.
 */
export class Turns {
  #due: Turn[] = [];

  /** Each call is a turn. */
  readonly schedule = (one: Turn): void => {
    if (this.#due.push(one) === 1) setImmediate(() => this.#run());
  };

  #run(): void {
    const due = this.#due;
    this.#due = [];
    for (const one of due) {
      try {
        one.turn();
      } catch (error) {
        // One turn's bug comes to light by itself, and the others have theirs.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
