import type { QueueMark } from '../store/message-store.js';

/** The size of a message that was not looked at since the broker was opened. */
export const UNKNOWN_BYTES = 0xffff_ffff;

/** What a queue knows of one of its messages beside its place. */
export interface EntryMark extends QueueMark {
  /** Of its body, where the queue has to know; else {@link UNKNOWN_BYTES}. The store does not keep it. */
  readonly bodyBytes: number;
}

export const NO_MARK: EntryMark = { expiresAt: 0, readyAt: 0, priority: 0, bodyBytes: UNKNOWN_BYTES };

/** The mark as the store is to keep it; undefined when it says nothing. */
export function storedMark(mark: EntryMark | undefined): QueueMark | undefined {
  if (mark === undefined) return undefined;
  const { expiresAt, readyAt, priority } = mark;
  return expiresAt === 0 && readyAt === 0 && priority === 0 ? undefined : mark;
}
