/**
 * Hands values on in the order in which they were given, though some of them are promises: at once while none is
 * awaited.
 */
export class InOrder {
  #last: Promise<void> | undefined;
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /**
   * `take` gets the value, `failed` what `value` threw or rejected with, or what `take` threw. Neither holds up those
   * that follow. `failed` may not throw.
   */
  push<T>(value: () => T | Promise<T>, take: (value: T) => void, failed: (error: unknown) => void): void {
    let ready: T | Promise<T>;
    try {
      ready = value();
      if (!(ready instanceof Promise) && this.#last === undefined) return take(ready);
    } catch (error) {
      return failed(error);
    }
    this.#size++;
    const before = this.#last ?? Promise.resolve();
    const mine = Promise.allSettled([ready, before])
      .then(async () => take(await ready))
      .catch(failed)
      .finally(() => {
        this.#size--;
        if (this.#last === mine) this.#last = undefined;
      });
    this.#last = mine;
    return undefined;
  }
}
