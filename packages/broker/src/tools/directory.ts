import { usable } from '../broker.js';
import { BrokerError, systemCodeOf } from '../errors.js';
import type { FileSystem } from '../store/file-system.js';

/** Where the journal of a broker's directory is. */
export function journalIn(directory: string): string {
  return `${directory}/journal`;
}

/** Rejects with DIRECTORY_UNUSABLE when there is no such directory, it can't be read, or no broker has ever used it. */
export async function assertJournal(fileSystem: FileSystem, directory: string): Promise<void> {
  const names = await usable(directory, 'read', () => namesIn(fileSystem, directory));
  if (names === undefined) {
    throw unusable(`There is no directory '${directory}'.`, 'Give the one that the broker was given.');
  }
  if (names.includes('journal')) {
    await usable(journalIn(directory), 'read', () => fileSystem.list(journalIn(directory)));
    return;
  }
  const isInside = names.some((name) => name.endsWith('.segment'));
  throw unusable(
    `There is no journal in '${directory}'.`,
    isInside ? 'Give the directory above it.' : 'Give the directory that the broker was given.',
  );
}

/** Undefined when there is no such directory. */
export async function namesIn(fileSystem: FileSystem, directory: string): Promise<string[] | undefined> {
  try {
    return await fileSystem.list(directory);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function unusable(what: string, cure: string): BrokerError {
  return new BrokerError('DIRECTORY_UNUSABLE', what, { severity: 'broker', cure });
}
