/** Keys of which each is held by one at a time, first come first served. A key that nobody holds takes no memory. */
export class KeyTurns {
  readonly #held = new Map<string, (() => void)[]>();

  /** How many keys are held. */
  get size(): number {
    return this.#held.size;
  }

  /** Resolves when the key is held; undefined: it is at once. */
  take(key: string): Promise<void> | undefined {
    const waiting = this.#held.get(key);
    if (waiting !== undefined) return new Promise((resolve) => waiting.push(resolve));
    this.#held.set(key, []);
    return undefined;
  }

  /** The key goes to the next who waits for it. */
  pass(key: string): void {
    const next = this.#held.get(key)?.shift();
    if (next === undefined) this.#held.delete(key);
    else next();
  }
}
