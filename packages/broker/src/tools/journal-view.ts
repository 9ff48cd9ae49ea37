import { isDeepStrictEqual } from 'node:util';
import { BrokerError, systemCodeOf } from '../errors.js';
import { DurableMark, type Marked } from '../store/durable-mark.js';
import type { File, FileSystem } from '../store/file-system.js';
import { segmentNumberOf } from '../store/segment.js';
import { assertJournal, journalIn } from './directory.js';
import { readPatiently } from './patient-file.js';

/** So often a broker that removes segments meanwhile may be in the way. */
const TRIES = 100;

const SNAPSHOT = 'definitions.json';

interface Pinned {
  readonly file: File;
  readonly bytes: number;
}

/**
 * A journal as it was at one moment, seen through a file system that can only be read. Also while a broker writes to it:
 * all segments were opened, so that they can be read though the broker removes them, and none is seen further than it
 * was written then. What is beyond the mark may be on its way to the disk.
 */
export class JournalView implements FileSystem {
  constructor(
    private readonly inner: FileSystem,
    /** Of the journal. */
    readonly directory: string,
    readonly marked: Marked,
    private readonly pinned: ReadonlyMap<string, Pinned>,
    /** The bytes of the snapshot, if there is one. */
    readonly definitions: Buffer | undefined,
  ) {}

  get bytes(): number {
    return [...this.pinned.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The segments' names, oldest first. */
  async list(): Promise<string[]> {
    return [...this.pinned.keys()];
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    if (mode !== 'read') return refuse(path);
    const name = path.slice(this.directory.length + 1);
    const pinned = this.pinned.get(name);
    if (pinned !== undefined) return frozen(pinned);
    if (name !== SNAPSHOT) return this.inner.open(path, 'read');
    if (this.definitions === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' });
    return frozen({ file: inMemory(this.definitions), bytes: this.definitions.length });
  }

  makeDirectory(path: string): Promise<void> {
    return refuse(path);
  }

  rename(path: string): Promise<void> {
    return refuse(path);
  }

  link(path: string): Promise<void> {
    return refuse(path);
  }

  remove(path: string): Promise<void> {
    return refuse(path);
  }

  syncDirectory(path: string): Promise<void> {
    return refuse(path);
  }

  freeBytes(path: string): Promise<number> {
    return this.inner.freeBytes(path);
  }

  async close(): Promise<void> {
    for (const { file } of this.pinned.values()) await file.close();
  }
}

/**
 * Opens the journal in a broker's directory for reading, and nothing else. Close it.
 *
 * The mark is read before the segments, so that all it speaks of is in them. While they are opened the broker may remove
 * some, from the oldest on, and write a snapshot before that: then it is begun anew.
 */
export async function viewJournal(fileSystem: FileSystem, directory: string): Promise<JournalView> {
  await assertJournal(fileSystem, directory);
  for (let tries = 0; tries < TRIES; tries++) {
    const view = await tryToView(fileSystem, journalIn(directory));
    if (view !== undefined) return view;
  }
  throw new BrokerError(
    'DIRECTORY_UNUSABLE',
    `The journal in '${directory}' changes faster than its files can be opened.`,
    { severity: 'broker', cure: 'Try again when the broker has less to do.' },
  );
}

async function tryToView(fileSystem: FileSystem, journal: string): Promise<JournalView | undefined> {
  const before = await surroundings(fileSystem, journal);
  // Those before the first that is needed are done with, though their names may still be there.
  const isNeeded = (name: string): boolean => (segmentNumberOf(name) ?? -1) >= before.marked.firstSegment;
  const names = (await fileSystem.list(journal)).filter(isNeeded);
  const pinned = new Map<string, Pinned>();
  const view = new JournalView(fileSystem, journal, before.marked, pinned, before.definitions);
  try {
    for (const name of names) {
      const file = await fileSystem.open(`${journal}/${name}`, 'read');
      pinned.set(name, { file, bytes: 0 });
      pinned.set(name, { file, bytes: await file.size() });
    }
    const after = await surroundings(fileSystem, journal);
    const [first = ''] = names;
    const overtaken =
      (segmentNumberOf(first) ?? 0) > before.marked.firstSegment &&
      after.marked.firstSegment > before.marked.firstSegment;
    if (!overtaken && isDeepStrictEqual(before.definitions, after.definitions)) return view;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
  await view.close();
  return undefined;
}

async function surroundings(
  fileSystem: FileSystem,
  journal: string,
): Promise<{ marked: Marked; definitions: Buffer | undefined }> {
  const marked = await DurableMark.read(fileSystem, `${journal}/durable`);
  try {
    const file = await fileSystem.open(`${journal}/${SNAPSHOT}`, 'read');
    try {
      const bytes = Buffer.alloc(await file.size());
      const count = await readPatiently(file, bytes, 0);
      return { marked, definitions: bytes.subarray(0, count) };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return { marked, definitions: undefined };
    throw error;
  }
}

/** A file that others may use and close: it ends where it ended, and stays open until the view is closed. */
function frozen({ file, bytes }: Pinned): File {
  return {
    read(into, position) {
      const left = Math.max(0, bytes - position);
      return readPatiently(file, into.subarray(0, left), position);
    },
    size: () => Promise.resolve(bytes),
    close: () => Promise.resolve(),
    write: () => refuse('a file'),
    writeDurably: () => refuse('a file'),
    sync: () => refuse('a file'),
    truncate: () => refuse('a file'),
  };
}

function inMemory(bytes: Buffer): File {
  return {
    ...frozen({ file: undefined as never, bytes: bytes.length }),
    async read(into, position) {
      return bytes.copy(into, 0, position);
    },
  };
}

function refuse(path: string): Promise<never> {
  return Promise.reject(readOnly(path));
}

function readOnly(path: string): Error {
  return Object.assign(new Error(`EROFS: ${path} is only looked at`), { code: 'EROFS' });
}
