import type { CommitWriter } from './commit-writer.js';
import type { DurableMark } from './durable-mark.js';
import type { File, FileSystem } from './file-system.js';
import { indexNumberOf } from './index-file.js';
import { PLANTED } from './planted.js';
import { positionOf } from './record.js';
import type { RecoveredJournal } from './recovery.js';
import { segmentFileName, segmentNumberOf } from './segment.js';

export interface JournalFiles {
  readonly fileSystem: FileSystem;
  readonly directory: string;
  readonly mark: DurableMark;
}

/**
 * Makes a journal that was read ready to be written on: what is done with or was never finished goes, the torn tail is
 * cut, what is kept is proved to be on the disk. Makes the first segment of a new journal.
 */
export async function openLastSegment(
  { fileSystem, directory, mark }: JournalFiles,
  { segments, lastHeader, provenUpTo }: RecoveredJournal,
  writer: CommitWriter,
): Promise<void> {
  const last = segments.at(-1);
  // What was read of the mark may not be on the disk either, and what it calls done with goes now.
  await mark.forgetBefore(segments[0]?.number ?? 1);
  await removeUnfinished({ fileSystem, directory }, new Set(segments.map(({ number }) => number)));
  if (last === undefined || lastHeader === undefined) {
    await writer.begin(1);
  } else {
    const file = await fileSystem.open(`${directory}/${segmentFileName(last.number)}`, 'write');
    const { checksum: id, key } = lastHeader;
    writer.resume({ number: last.number, id, key, file, end: last.bytes });
    if (last.fileBytes > last.bytes) await file.truncate(last.bytes);
    await prove(file, Math.max(0, provenUpTo - positionOf(last.number, 0)), last.bytes);
  }
  await mark.write(writer.durableUpTo);
}

/**
 * What was read may have been in the page cache only, and, after a sync that failed in another life, in pages that no
 * sync brings to the disk any more. From here on it is relied upon: so what nothing proves to be there is written again.
 */
async function prove(file: File, from: number, to: number): Promise<void> {
  if (to > from && !PLANTED.tailNotProven) {
    const tail = Buffer.allocUnsafe(to - from);
    await file.write(tail.subarray(0, await file.read(tail, from)), from);
  }
  await file.sync();
}

/** Files that belong to no segment hold nothing: the process ended while they were made, or removed. */
async function removeUnfinished(
  { fileSystem, directory }: Pick<JournalFiles, 'fileSystem' | 'directory'>,
  segments: ReadonlySet<number>,
): Promise<void> {
  for (const name of await fileSystem.list(directory)) {
    const number = indexNumberOf(name) ?? segmentNumberOf(name);
    const isOrphan = number !== undefined && !segments.has(number);
    if (isOrphan || name.endsWith('.segment.new')) await fileSystem.remove(`${directory}/${name}`);
  }
  await fileSystem.syncDirectory(directory);
}
