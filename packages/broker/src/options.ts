import { resolve } from 'node:path';
import { type Clock, systemClock } from './clock.js';
import { BrokerError } from './errors.js';
import { LIMITS } from './limits.js';
import { type MemoryGauge, systemMemory } from './memory-watch.js';
import type { FileSystem } from './store/file-system.js';
import type { StoreFactory } from './store/message-store.js';
import { nodeFileSystem } from './store/node-file-system.js';

/** Of {@link openBroker}. What can not be meant is refused (INVALID_OPTION). */
export interface BrokerOptions {
  /**
   * Where the broker keeps its data; made if missing, and owned by one process at a time. Without it everything is
   * in memory and gone with the process.
   */
  readonly directory?: string;
  /**
   * Instead of `directory`: makes a store of your own, which the broker opens and closes; see docs/extending.md. Called each time
   * that a broker is opened.
   */
  readonly store?: StoreFactory;
  /** A segment of the journal closes before a record would exceed this. Bytes, 64 KiB to 512 MiB. @default 64 MiB */
  readonly segmentBytesMax?: number;
  /**
   * Budget for recently published bodies, so that consumers who keep up never read the disk. Bytes, 0 or more.
   * @default 64 MiB
   */
  readonly cacheBytesMax?: number;
  /**
   * How long acks alone wait for a publish to share a commit with. A crash within it redelivers what they settled.
   * Milliseconds, 0 to 1000; 0 is no waiting, and no timer. @default 5
   */
  readonly settlementDelayMs?: number;
  /**
   * Below this much free space on the disk publishers are blocked, so that consumers can go on to settle, and a segment
   * can be written anew after a failed write. Bytes, 0 (never) or more. @default twice segmentBytesMax: 128 MiB
   */
  readonly diskFreeBytesMin?: number;
  /**
   * Above this much memory of the process publishers are blocked. Up to 1, a share of what the machine has, or a control
   * group leaves of it; above, bytes. @default never: the memory is the application's too
   */
  readonly memoryHighWatermark?: number;
  /** @default the system's */
  readonly memoryGauge?: MemoryGauge;
  /** @default the system's */
  readonly clock?: Clock;
  /** @default the system's */
  readonly fileSystem?: FileSystem;
  /**
   * Told when the store has failed (STORE_FAILED, J5): publishers get the error too, but consumers would not hear of it.
   * Also of trouble that costs no promise (STORE_TROUBLE). @default a process warning (`process.on('warning')`)
   */
  readonly onFailure?: (error: Error) => void;
  /** Told when the store has proved itself after a failure and accepts again. @default nothing is done */
  readonly onHealed?: () => void;
}

export interface NormalisedBrokerOptions {
  readonly directory: string | undefined;
  readonly store: StoreFactory | undefined;
  readonly segmentBytesMax: number;
  readonly cacheBytesMax: number;
  readonly settlementDelayMs: number;
  readonly diskFreeBytesMin: number;
  readonly memoryHighWatermark: number | undefined;
  readonly memoryGauge: MemoryGauge;
  readonly clock: Clock;
  readonly fileSystem: FileSystem;
  readonly onFailure: (error: Error) => void;
  readonly onHealed: () => void;
}

const NUMBERS = {
  segmentBytesMax: {
    fallback: 64 * 1024 * 1024,
    min: LIMITS.segmentBytesMin,
    max: LIMITS.segmentBytesMax,
    unit: 'bytes',
  },
  cacheBytesMax: { fallback: 64 * 1024 * 1024, min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' },
  settlementDelayMs: { fallback: 5, min: 0, max: 1000, unit: 'milliseconds' },
  diskFreeBytesMin: { fallback: 128 * 1024 * 1024, min: 0, max: Number.MAX_SAFE_INTEGER, unit: 'bytes' },
} as const;

const OTHER_KEYS = [
  'directory',
  'store',
  'memoryHighWatermark',
  'memoryGauge',
  'clock',
  'fileSystem',
  'onFailure',
  'onHealed',
];
/** The names of all {@link BrokerOptions}. */
export const BROKER_KEYS: ReadonlySet<string> = new Set([...OTHER_KEYS, ...Object.keys(NUMBERS)]);

/** Fills in the defaults. Throws INVALID_OPTION for an unknown key, a wrong type or a number out of range. */
export function normaliseOptions(options: BrokerOptions): NormalisedBrokerOptions {
  for (const key of Object.keys(options)) {
    if (!BROKER_KEYS.has(key))
      throw invalid(
        `'${key}' is not an option of the broker.`,
        `Options are: ${[...BROKER_KEYS].join(', ')}.`,
      );
  }
  const { directory } = options;
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    throw invalid(`'directory' is ${describe(directory)}.`, 'Give a path as a non-empty string.');
  }
  const segmentBytesMax = integer(options, 'segmentBytesMax');
  return {
    store: storeFactory(options),
    // What it means must not change with the process's working directory.
    directory: directory === undefined || options.fileSystem !== undefined ? directory : resolve(directory),
    segmentBytesMax,
    cacheBytesMax: integer(options, 'cacheBytesMax'),
    settlementDelayMs: integer(options, 'settlementDelayMs'),
    diskFreeBytesMin:
      options.diskFreeBytesMin === undefined ? 2 * segmentBytesMax : integer(options, 'diskFreeBytesMin'),
    memoryHighWatermark: watermark(options.memoryHighWatermark),
    memoryGauge: options.memoryGauge ?? systemMemory,
    clock: options.clock ?? systemClock,
    fileSystem: options.fileSystem ?? nodeFileSystem,
    onFailure: options.onFailure ?? ((error) => process.emitWarning(error)),
    onHealed: options.onHealed ?? (() => {}),
  };
}

/** What only the journal knows. */
const JOURNAL_KEYS = ['directory', 'fileSystem', ...Object.keys(NUMBERS)] as (keyof BrokerOptions)[];

function storeFactory(options: BrokerOptions): StoreFactory | undefined {
  const store: unknown = options.store;
  if (store === undefined) return undefined;
  if (typeof store !== 'function')
    throw invalid(
      `'store' is ${describe(store)}.`,
      'Give a function that makes a store: `() => new MyStore()`.',
    );
  const other = JOURNAL_KEYS.find((key) => options[key] !== undefined);
  if (other === undefined) return store as StoreFactory;
  throw invalid(
    `There is 'store', and '${other}' as well.`,
    `Leave '${other}' out: it is for a journal in a directory.`,
  );
}

function integer(options: BrokerOptions, key: keyof typeof NUMBERS): number {
  const { fallback, min, max, unit } = NUMBERS[key];
  const value: unknown = options[key];
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw invalid(`'${key}' is ${describe(value)}.`, `Give a whole number of ${unit} from ${min} to ${max}.`);
  }
  return value;
}

function watermark(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  const isShare = typeof value === 'number' && value > 0 && value <= 1;
  if (isShare || (Number.isSafeInteger(value) && (value as number) > 1)) return value as number;
  throw invalid(
    `'memoryHighWatermark' is ${describe(value)}.`,
    'Give a share of the memory, above 0 and up to 1, or a whole number of bytes.',
  );
}

function describe(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : `${String(value)} (${typeof value})`;
}

function invalid(what: string, cure: string): BrokerError {
  return new BrokerError('INVALID_OPTION', what, { cure });
}
