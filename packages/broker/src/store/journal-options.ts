import type { Clock } from '../clock.js';
import type { FileSystem } from './file-system.js';

/** Of {@link JournalStore}, which checks none of them: {@link openBroker} does. */
export interface JournalOptions {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  /** A segment closes when its next commit would exceed this. Bytes. */
  readonly segmentBytesMax: number;
  /** Budget of the cache of recently published bodies. Bytes. */
  readonly cacheBytesMax: number;
  /** How long settlements wait for a publish to share a commit with. Milliseconds. */
  readonly settlementDelayMs: number;
  /** Below this much free space on the disk `blocked` says so. Bytes; 0 never does. */
  readonly diskFreeBytesMin: number;
  /** Gives each new segment its key: below 2^48, and not to be guessed. @default from the system's randomness */
  readonly newSegmentKey?: () => number;
  /** Told of each failure (STORE_FAILED), and of trouble that costs no promise (STORE_TROUBLE). */
  readonly onFailure: (error: Error) => void;
  /** Told when the store has proved itself after a failure, and accepts again (J5). @default nothing is done */
  readonly onHealed?: () => void;
  /** Told when publishers should wait, with the reason, and with undefined when no more. @default nothing is done */
  readonly onBlocked?: (reason: string | undefined) => void;
  /** The same for what is on its way to the disk, and takes memory until it is there. @default nothing is done */
  readonly onBacklog?: (reason: string | undefined) => void;
}
