/** What somebody is busy with, by key: others who want the same wait. */
export class Claims<Owner> {
  readonly #owners = new Map<string, Owner>();
  readonly #keys = new Map<Owner, string[]>();
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Whether it is the owner's now; false when it is another's. */
  take(key: string, owner: Owner): boolean {
    const present = this.#owners.get(key);
    if (present !== undefined) return present === owner;
    this.#owners.set(key, owner);
    const keys = this.#keys.get(owner);
    if (keys === undefined) this.#keys.set(owner, [key]);
    else keys.push(key);
    return true;
  }

  /** Resolves when the key is given back, or by {@link Claims.wake}. */
  change(key: string): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(key);
      if (waiting === undefined) this.#waiting.set(key, [resolve]);
      else waiting.push(resolve);
    });
  }

  /** All that the owner has taken. */
  giveBack(owner: Owner): void {
    for (const key of this.#keys.get(owner) ?? []) {
      this.#owners.delete(key);
      this.#wake(key);
    }
    this.#keys.delete(owner);
  }

  wake(): void {
    for (const key of this.#waiting.keys()) this.#wake(key);
  }

  #wake(key: string): void {
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.delete(key);
    for (const resolve of waiting) resolve();
  }
}
