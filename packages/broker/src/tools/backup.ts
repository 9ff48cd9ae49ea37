import { dirname } from 'node:path';
import { BrokerError, messageOf, systemCodeOf } from '../errors.js';
import { DurableMark } from '../store/durable-mark.js';
import type { FileSystem } from '../store/file-system.js';
import {
  indexFileName,
  indexNumberOf,
  readIndexBytes,
  removeIfThere,
  writeIndexFile,
} from '../store/index-file.js';
import { positionOf } from '../store/record.js';
import { recoverJournal } from '../store/recovery.js';
import { segmentFileName, segmentNumberOf } from '../store/segment.js';
import { copyBytes } from '../store/segment-rewrite.js';
import { checkJournal, type CheckReport } from './check.js';
import { journalIn, namesIn, unusable } from './directory.js';
import { type JournalView, viewJournal } from './journal-view.js';
import type { ToolOptions } from './progress.js';
import { writeFresh, writeMark } from './repair-files.js';

/** What {@link backUpJournal} has copied. Sizes are bytes. */
export interface BackupReport {
  readonly directory: string;
  readonly to: string;
  readonly bytes: number;
  readonly segments: number;
  /** Messages in queues, one for each queue that it is in. */
  readonly messages: number;
}

/**
 * Copies the journal of a broker's directory, also while the broker runs, to a directory that a broker can be opened on.
 * All that was confirmed before the call is in the copy, what comes meanwhile may be; the copy is made beside its place,
 * read again record by record, and only then named `to`, which must not exist or be empty.
 *
 * Rejects with DIRECTORY_UNUSABLE, JOURNAL_VERSION, the system's error, or JOURNAL_DAMAGED when the journal is damaged
 * or the copy does not read; then there is no `to`.
 */
export async function backUpJournal(
  fileSystem: FileSystem,
  directory: string,
  to: string,
  options: ToolOptions = {},
): Promise<BackupReport> {
  const view = await viewJournal(fileSystem, directory);
  const target = to.replace(/[/\\]+$/, '');
  const partial = `${target}.partial`;
  try {
    await assertFree(fileSystem, view, target);
    await clear(fileSystem, partial);
    await fileSystem.makeDirectory(journalIn(partial));
    await copyJournal(fileSystem, view, journalIn(partial), options);
    const report = await verify(fileSystem, partial, options);
    await giveName(fileSystem, partial, target);
    const { bytes, segments, messages } = report;
    return { directory, to, bytes, segments: segments.length, messages };
  } catch (error) {
    await clear(fileSystem, partial).catch(() => {});
    throw error;
  } finally {
    await view.close();
  }
}

async function assertFree(fileSystem: FileSystem, view: JournalView, to: string): Promise<void> {
  if (to === view.directory || to.startsWith(`${view.directory}/`)) {
    throw unusable(`'${to}' is in the journal itself.`, 'Give a directory elsewhere.');
  }
  let names: string[] | undefined;
  try {
    names = await namesIn(fileSystem, to);
  } catch (cause) {
    throw unusable(`'${to}' can't be used (${messageOf(cause)}).`, 'Give a directory that does not exist.');
  }
  if (names !== undefined && names.length > 0) {
    throw unusable(`The directory '${to}' is not empty.`, 'Give one that does not exist, or is empty.');
  }
}

/** Removes what a copy that was broken off has left. Its directories stay, for the next one. */
async function clear(fileSystem: FileSystem, partial: string): Promise<void> {
  const journal = journalIn(partial);
  const others = ((await namesIn(fileSystem, partial)) ?? []).filter((name) => name !== 'journal');
  const names = (await namesIn(fileSystem, journal).catch(() => undefined)) ?? [];
  if (others.length > 0 || !names.every(isOfJournal)) {
    throw unusable(`'${partial}' is in the way: it holds what no backup has left.`, 'Move it away.');
  }
  for (const name of names) await removeIfThere(fileSystem, `${journal}/${name}`);
}

function isOfJournal(name: string): boolean {
  const isNumbered = segmentNumberOf(name) !== undefined || indexNumberOf(name) !== undefined;
  return isNumbered || name === 'durable' || name === 'definitions.json';
}

/**
 * Oldest first. The last segment is copied up to its last record that reads: what is behind it was not confirmed when the
 * view was made. So the mark of the copy is exact.
 */
async function copyJournal(
  fileSystem: FileSystem,
  view: JournalView,
  journal: string,
  { onProgress }: ToolOptions,
): Promise<void> {
  const { segments } = await recoverJournal(view, view.directory, view.marked);
  if (view.definitions !== undefined) {
    const { definitions } = view;
    await writeFresh(fileSystem, `${journal}/definitions.json`, (file) => file.write(definitions, 0));
  }
  let bytesDone = 0;
  for (const { number, bytes } of segments) {
    const name = segmentFileName(number);
    onProgress?.({ doing: `copying ${name}`, bytesDone, bytesTotal: view.bytes });
    const from = await view.open(`${view.directory}/${name}`, 'read');
    await writeFresh(fileSystem, `${journal}/${name}`, (file) => copyBytes(from, file, bytes));
    bytesDone += bytes;
    const index = await readIndexBytes(view, view.directory, number);
    if (index !== undefined && number !== segments.at(-1)?.number) {
      await writeFresh(fileSystem, `${journal}/${indexFileName(number)}`, (file) => file.write(index, 0));
    }
  }
  const last = segments.at(-1);
  await writeMark(fileSystem, `${journal}/durable`, {
    position: last === undefined ? 0 : positionOf(last.number, last.bytes),
    firstSegment: segments[0]?.number ?? 0,
  });
  await fileSystem.syncDirectory(journal);
}

/** Reads the copy as a whole, and makes the indexes that it lacks. */
async function verify(fileSystem: FileSystem, partial: string, options: ToolOptions): Promise<CheckReport> {
  const report = await checkJournal(fileSystem, partial, options);
  const [problem] = report.problems;
  if (problem !== undefined) {
    throw new BrokerError(
      'JOURNAL_DAMAGED',
      `The copy of ${problem.file} is damaged at offset ${problem.offset}: ${problem.why}.`,
      { severity: 'broker', cure: '`nestmq check` tells whether the journal is. No backup was made.' },
    );
  }
  const journal = journalIn(partial);
  const marked = await DurableMark.read(fileSystem, `${journal}/durable`);
  await recoverJournal(fileSystem, journal, marked, (number, index, of) =>
    writeIndexFile(fileSystem, journal, { number, index, of }),
  );
  return report;
}

async function giveName(fileSystem: FileSystem, partial: string, to: string): Promise<void> {
  await fileSystem.syncDirectory(partial);
  try {
    await fileSystem.rename(partial, to);
  } catch (cause) {
    // Where no directory takes the place of an empty one (Windows), or somebody has made one meanwhile.
    if (!['EEXIST', 'ENOTEMPTY', 'EPERM'].includes(systemCodeOf(cause) ?? '')) throw cause;
    throw unusable(`The copy can't be given the name '${to}'.`, 'Give a directory that does not exist.');
  }
  await fileSystem.syncDirectory(dirname(to));
}
