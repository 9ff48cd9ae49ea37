import { crc32 } from 'node:zlib';
import { BrokerError, systemCodeOf } from '../errors.js';
import type { FileSystem } from './file-system.js';
import { FORMAT_VERSION } from './segment.js';

const FORMAT = 'nestmq-definitions';

export interface Snapshot {
  /** Definition records up to this sequence are in the snapshot. */
  readonly through: number;
  readonly definitions: Map<string, unknown>;
}

/**
 * All definitions in one JSON file, so that the segments that hold their records can go. Replaced as a whole: written
 * beside, synced, renamed, directory synced.
 */
export async function writeSnapshot(
  fileSystem: FileSystem,
  directory: string,
  { through, definitions }: Snapshot,
): Promise<void> {
  const entries = JSON.stringify([...definitions]);
  const text = `{"format":"${FORMAT}","version":${FORMAT_VERSION},"through":${through},"crc32":${checksum(FORMAT_VERSION, through, entries)},"definitions":${entries}}\n`;
  const temporary = `${directory}/definitions.json.new`;
  await removeIfThere(fileSystem, temporary);
  const file = await fileSystem.open(temporary, 'create');
  try {
    await file.write(Buffer.from(text), 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await fileSystem.rename(temporary, `${directory}/definitions.json`);
  await fileSystem.syncDirectory(directory);
}

export async function readSnapshot(fileSystem: FileSystem, directory: string): Promise<Snapshot> {
  const path = `${directory}/definitions.json`;
  let text: string;
  try {
    text = await readText(fileSystem, path);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return { through: 0, definitions: new Map() };
    throw error;
  }
  return parse(text, path);
}

function parse(text: string, path: string): Snapshot {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, 'it is not JSON', cause);
  }
  const {
    format,
    version,
    through,
    crc32: expected,
    definitions,
  } = (document ?? {}) as Record<string, unknown>;
  if (format !== FORMAT || typeof through !== 'number' || !Array.isArray(definitions)) {
    throw damaged(path, 'its fields are not those of a definitions file');
  }
  // Before the version is believed: a damaged one is no newer release's.
  if (expected !== checksum(version, through, JSON.stringify(definitions)))
    throw damaged(path, 'its checksum does not match');
  if (version !== FORMAT_VERSION) {
    throw new BrokerError(
      'JOURNAL_VERSION',
      `${path} has format version ${String(version)}; this release reads version ${FORMAT_VERSION}.`,
      {
        severity: 'broker',
        cure: 'Use the release of nestmq that wrote it; nothing was changed.',
      },
    );
  }
  return { through, definitions: new Map(definitions as [string, unknown][]) };
}

function checksum(version: unknown, through: number, entries: string): number {
  return crc32(`${String(version)} ${through} ${entries}`);
}

function damaged(path: string, why: string, cause?: unknown): BrokerError {
  return new BrokerError('JOURNAL_DAMAGED', `${path} is damaged: ${why}.`, {
    severity: 'broker',
    cure: 'Nothing was changed. `nestmq repair` keeps what the records still define; or restore the directory from a backup.',
    cause,
  });
}

async function readText(fileSystem: FileSystem, path: string): Promise<string> {
  const file = await fileSystem.open(path, 'read');
  try {
    const bytes = Buffer.alloc(await file.size());
    await file.read(bytes, 0);
    return bytes.toString('utf8');
  } finally {
    await file.close();
  }
}

async function removeIfThere(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    await fileSystem.remove(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
