import type { Admission } from './routing/seen-ids.js';
import type { MessageStore } from './store/message-store.js';

/** What deduplication has let through with messages that were routed; undefined, as for most: nothing. */
export type Admissions = readonly Admission[] | undefined;

export function forget(admissions: Admissions): void {
  for (const one of admissions ?? []) one.forget();
}

/** Runs what comes before storing them: with an error they were not seen. */
export function unlessThrown<R>(admissions: Admissions, run: () => R): R {
  try {
    return run();
  } catch (error) {
    forget(admissions);
    throw error;
  }
}

/**
 * Runs what stores the messages. When that fails, now or on the disk, they were not seen: whoever is told of the failure
 * sends them again, and they are no duplicates.
 */
export function storing<R>(store: MessageStore, admissions: Admissions, run: () => R): R {
  if (admissions === undefined) return run();
  const result = unlessThrown(admissions, run);
  store.whenDurable((error) => {
    if (error !== undefined) forget(admissions);
  });
  return result;
}
