import {
  decodeKey,
  queueLabel,
  type ExchangeDefinition,
  type QueueDefinition,
} from '../definitions/definitions.js';
import type { FileSystem } from '../store/file-system.js';
import { indexFileName } from '../store/index-file.js';
import type { StoredEntries } from '../store/message-store.js';
import { offsetOf, segmentOf } from '../store/record.js';
import { recoverJournal, type RecoveredJournal } from '../store/recovery.js';
import { segmentFileName } from '../store/segment.js';
import { liveBySegment } from './check.js';
import { journalIn } from './directory.js';
import { type JournalView, viewJournal } from './journal-view.js';
import { queueName } from './problems.js';

/** What {@link inspectJournal} found. Sizes are bytes. */
export interface InspectReport {
  readonly directory: string;
  readonly queues: readonly InspectedQueue[];
  /** Durable ones. */
  readonly exchanges: readonly { readonly name: string; readonly type: string }[];
  readonly bindings: number;
  readonly segments: readonly InspectedSegment[];
  readonly bytes: number;
  /** Up to where the mark says that the journal is durable. */
  readonly mark: { readonly segment: number; readonly offset: number; readonly firstSegment: number };
}

/** What the journal has of one durable queue. */
export interface InspectedQueue {
  readonly name: string;
  /** Messages in it, ready or in consumers' hands. Those that are not in the journal are not counted. */
  readonly messages: number;
  readonly oldestSequence: number | undefined;
  readonly newestSequence: number | undefined;
}

/** One segment, and how much of it is still needed. Sizes are bytes. */
export interface InspectedSegment {
  readonly file: string;
  readonly bytes: number;
  /** Messages that its records put into queues, settled or not. */
  readonly messages: number;
  readonly live: number;
  /** The share of its messages that are live; 0 when it has none. */
  readonly liveRatio: number;
  readonly hasIndex: boolean;
}

/**
 * What is in the journal of a broker's directory, without reading every record. Changes nothing, takes no lock, and may
 * run beside the broker. Rejects with DIRECTORY_UNUSABLE, JOURNAL_DAMAGED, JOURNAL_VERSION, or the system's error.
 */
export async function inspectJournal(fileSystem: FileSystem, directory: string): Promise<InspectReport> {
  const view = await viewJournal(fileSystem, directory);
  try {
    const names = await fileSystem.list(journalIn(directory));
    return reportOf(directory, view, await recoverJournal(view, view.directory, view.marked), new Set(names));
  } finally {
    await view.close();
  }
}

function reportOf(
  directory: string,
  { marked }: JournalView,
  { segments, entries, definitions }: RecoveredJournal,
  files: ReadonlySet<string>,
): InspectReport {
  const live = liveBySegment({ entries });
  const keys = [...definitions].map(([text, value]) => [decodeKey(text), value] as const);
  return {
    directory,
    queues: queuesOf(keys, entries),
    exchanges: keys.flatMap(([key, value]) =>
      key[0] === 'exchange' ? [{ name: key[2], type: (value as ExchangeDefinition).type }] : [],
    ),
    bindings: keys.filter(([key]) => key[0] === 'binding' || key[0] === 'exchange-binding').length,
    segments: segments.map(({ number, fileBytes, messages }) => ({
      file: segmentFileName(number),
      bytes: fileBytes,
      messages,
      live: live.get(number) ?? 0,
      liveRatio: messages === 0 ? 0 : (live.get(number) ?? 0) / messages,
      hasIndex: files.has(indexFileName(number)),
    })),
    bytes: segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
    mark: {
      segment: segmentOf(marked.position),
      offset: offsetOf(marked.position),
      firstSegment: marked.firstSegment,
    },
  };
}

/** Those that are defined, then what no definition names. */
function queuesOf(
  keys: readonly (readonly [ReturnType<typeof decodeKey>, unknown])[],
  entries: ReadonlyMap<number, StoredEntries>,
): InspectedQueue[] {
  const names = new Map<number, string>();
  for (const [key, value] of keys)
    if (key[0] === 'queue') names.set((value as QueueDefinition).id, queueLabel(key[1], key[2]));
  return [...new Set([...names.keys(), ...entries.keys()])].map((id) => {
    const sequences = entries.get(id)?.sequences;
    return {
      name: queueName(id, names),
      messages: sequences?.length ?? 0,
      oldestSequence: sequences?.[0],
      newestSequence: sequences?.at(-1),
    };
  });
}
