/**
 * Bugs to be found: test-only flags that break a rule of the store on purpose, to see that the simulation notices.
 * All are off; nothing but a test turns one on.
 */
export const PLANTED = {
  /** A record's checksum is not compared (J4). */
  checksumIgnored: false,
  /** The checksum of an index file is not compared (J9). */
  indexChecksumIgnored: false,
  /** A torn tail is not cut off when the journal is opened (J3). */
  tornTailKept: false,
  /** What was read from the page cache is believed to be on the disk (J3). */
  tailNotProven: false,
  /** A segment index is believed whichever segment it was made for (J9). */
  staleIndexTrusted: false,
  /** A segment goes as soon as its own messages are settled, also before an older one: settlements go first (J6). */
  settlementDroppedEarly: false,
  /** A segment goes though messages that were moved still have their bodies in it (J2). */
  borrowedBodyDropped: false,
  /** Commits are reported durable as they complete, not in their order (J1). */
  confirmedOutOfOrder: false,
  /** After a failed write what comes next is written as if nothing had happened (J5). */
  failedWriteIgnored: false,
  /** Compaction copies what it finds, settled or not: the settlement goes, the copy stays (J6). */
  settledAreCopied: false,
  /** A transaction is written record by record, in commits of their own (J2). */
  transactionSplit: false,
  /** A purge is believed to take what came after it, too. */
  purgeTakesLater: false,
  /** What a requeue says of the time is not read at opening (J3). */
  readyAtForgotten: false,
  /** An index file has no marks (J9). */
  indexWithoutMarks: false,
};
