import type { FileSystem } from '../store/file-system.js';
import { recoverJournal } from '../store/recovery.js';
import { viewJournal } from './journal-view.js';

/**
 * The definitions in a broker's directory, as its store has them. Changes nothing, takes no lock, and may run beside the
 * broker. Rejects with DIRECTORY_UNUSABLE, JOURNAL_DAMAGED, JOURNAL_VERSION, or the system's error.
 */
export async function readDefinitions(
  fileSystem: FileSystem,
  directory: string,
): Promise<ReadonlyMap<string, unknown>> {
  const view = await viewJournal(fileSystem, directory);
  try {
    return (await recoverJournal(view, view.directory, view.marked)).definitions;
  } finally {
    await view.close();
  }
}
