/** Values come out in the order in which they went in, however long each takes. */
export class InTurn {
  #inside = 0;
  #last: Promise<unknown> | undefined;

  /** What is there, and has none before it, comes as it is. */
  next<T>(value: T | Promise<T>): T | Promise<T> {
    if (this.#inside === 0 && !(value instanceof Promise)) return value;
    this.#inside += 1;
    const turn = this.#after(this.#last, value);
    this.#last = turn;
    void this.#leave(turn);
    return turn;
  }

  async #after<T>(before: Promise<unknown> | undefined, value: T | Promise<T>): Promise<T> {
    const [, mine] = await Promise.allSettled([before, value]);
    if (mine.status === 'rejected') throw mine.reason;
    return mine.value;
  }

  /** A little later than those who wait for it go on. */
  async #leave(turn: Promise<unknown>): Promise<void> {
    await Promise.allSettled([turn]);
    this.#inside -= 1;
    if (this.#inside === 0) this.#last = undefined;
  }
}
