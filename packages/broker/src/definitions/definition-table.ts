import { type DefinitionKey, encodeKey } from './definitions.js';

/** Where definitions are kept: the store. `null` removes one. */
export interface DefinitionLog {
  /** Throws STORE_FAILED, and keeps nothing, while the store can't promise anything. */
  define(key: string, value: unknown): void;
}

/** All definitions of one kind, in memory as in the log. */
export class DefinitionTable<Key extends DefinitionKey, Value extends object> {
  readonly #entries = new Map<string, [Key, Value]>();

  constructor(
    private readonly kind: Key[0],
    private readonly log: DefinitionLog,
    private readonly onChange: () => void,
  ) {}

  /** Takes what is in the log already. */
  restore(key: DefinitionKey, value: unknown): void {
    if (key[0] === this.kind) this.#entries.set(encodeKey(key), [key as Key, value as Value]);
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(encodeKey(key))?.[1];
  }

  set(key: Key, value: Value): void {
    const encoded = encodeKey(key);
    this.log.define(encoded, value);
    this.#entries.set(encoded, [key, value]);
    this.onChange();
  }

  /** Returns whether it was there. */
  delete(key: Key): boolean {
    const encoded = encodeKey(key);
    if (!this.#entries.has(encoded)) return false;
    this.log.define(encoded, null);
    this.#entries.delete(encoded);
    this.onChange();
    return true;
  }

  /** Deletes those whose key is chosen. */
  deleteAll(isChosen: (key: Key) => boolean): void {
    for (const [key] of this.entries()) if (isChosen(key)) this.delete(key);
  }

  /** As they were at the call. */
  entries(): [Key, Value][] {
    return [...this.#entries.values()];
  }
}
