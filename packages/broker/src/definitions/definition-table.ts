import { decodeKey, type DefinitionKey, encodeKey } from './definitions.js';

/** Where definitions are kept: the store. `null` removes one. */
export interface DefinitionLog {
  /** Throws STORE_FAILED, and keeps nothing, while the store can't promise anything. */
  define(key: string, value: unknown): void;
}

/** All definitions of one kind, in memory as in the log. */
export class DefinitionTable<Key extends DefinitionKey, Value extends object> {
  readonly #values = new Map<string, Value>();

  constructor(
    private readonly kind: Key[0],
    private readonly log: DefinitionLog,
    private readonly onChange: () => void,
  ) {}

  /** Takes what is in the log already. */
  restore(key: DefinitionKey, value: unknown): void {
    if (key[0] === this.kind) this.#values.set(encodeKey(key), value as Value);
  }

  get(key: Key): Value | undefined {
    return this.#values.get(encodeKey(key));
  }

  set(key: Key, value: Value): void {
    const encoded = encodeKey(key);
    this.log.define(encoded, value);
    this.#values.set(encoded, value);
    this.onChange();
  }

  /** Returns whether it was there. */
  delete(key: Key): boolean {
    const encoded = encodeKey(key);
    if (!this.#values.has(encoded)) return false;
    this.log.define(encoded, null);
    this.#values.delete(encoded);
    this.onChange();
    return true;
  }

  /** Deletes those whose key is chosen. */
  deleteAll(isChosen: (key: Key) => boolean): void {
    for (const [key] of this.entries()) if (isChosen(key)) this.delete(key);
  }

  /** As they were at the call. */
  entries(): [Key, Value][] {
    return [...this.#values].map(([key, value]) => [decodeKey(key) as Key, value]);
  }
}
