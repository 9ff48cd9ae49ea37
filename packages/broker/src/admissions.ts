import type { Admission } from './routing/seen-ids.js';
import type { MessageStore } from './store/message-store.js';

/** What deduplication has let through with messages that were routed; undefined, as for most: nothing. */
export type Admissions = readonly Admission[] | undefined;

export function forget(admissions: Admissions): void {
  for (const one of admissions ?? []) one.forget();
}

/**
 * Runs what stores the messages. When that fails, now or on the disk, they were not seen: whoever is told of the failure
 * sends them again, and they are no duplicates.
 */
export function storing<R>(store: MessageStore, admissions: Admissions, run: () => R): R {
  if (admissions === undefined) return run();
  try {
    const result = run();
    store.whenDurable((error) => {
      if (error !== undefined) forget(admissions);
    });
    return result;
  } catch (error) {
    forget(admissions);
    throw error;
  }
}
