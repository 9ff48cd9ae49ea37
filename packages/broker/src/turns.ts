/**
 * Runs turns soon: after what is ready to run now, so that timers and I/O are never starved by messages that make
 * messages, and each turn at most once per round.
 */
export class Turns {
  #due = new Set<() => void>();
  #scheduled = false;

  readonly schedule = (turn: () => void): void => {
    this.#due.add(turn);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#run());
  };

  #run(): void {
    const due = this.#due;
    this.#due = new Set();
    this.#scheduled = false;
    for (const turn of due) {
      try {
        turn();
      } catch (error) {
        // One turn's bug comes to light by itself, and the others have theirs.
        process.nextTick(() => {
          throw error;
        });
      }
    }
  }
}
