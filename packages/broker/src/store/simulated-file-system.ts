import type { File, FileSystem } from './file-system.js';
import { SimulatedFile, systemError } from './simulated-file.js';
import { SimulatedInode } from './simulated-inode.js';

export { systemError } from './simulated-file.js';

export type SimulatedOperation =
  'makeDirectory' | 'list' | 'open' | 'rename' | 'remove' | 'syncDirectory' | 'write' | 'read' | 'sync';

/** What may be made to fail, and how: return the error to throw, or nothing. Called before each operation. */
export type FaultInjector = (operation: SimulatedOperation, path: string) => Error | undefined;

/**
 * A file system in memory that knows what a crash would leave. For tests and for the testing package: names are
 * durable only after `syncDirectory`, bytes and sizes only after `sync`, the bytes of a durable write when it resolves.
 */
export class SimulatedFileSystem implements FileSystem {
  #directories = new Set<string>(['/', '.']);
  #names = new Map<string, SimulatedInode>();
  /** The names a power cut certainly leaves. */
  #durableNames = new Map<string, SimulatedInode>();
  fault: FaultInjector | undefined;
  /** What a write or a sync waits for before it takes effect, so that several are under way. @default nothing */
  wait: ((operation: 'write' | 'sync', path: string) => Promise<void> | undefined) | undefined;
  /** How much of a failed write is stored all the same, in [0, 1). @default nothing of it */
  random: () => number = () => 0;
  /** What all files together may have; writes beyond it store what fits and fail with ENOSPC. Bytes. */
  capacityBytes: number = Infinity;

  #check(operation: SimulatedOperation, path: string): void {
    const error = this.fault?.(operation, path);
    if (error !== undefined) throw error;
  }

  async makeDirectory(path: string): Promise<void> {
    this.#check('makeDirectory', path);
    if (this.#names.has(path)) throw systemError('EEXIST', path);
    for (let at = path; !this.#directories.has(at); at = parentOf(at)) this.#directories.add(at);
  }

  async list(path: string): Promise<string[]> {
    this.#check('list', path);
    if (!this.#directories.has(path)) throw systemError('ENOENT', path);
    const prefix = `${path}/`;
    const names = [...this.#names.keys(), ...this.#directories]
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length));
    return [...new Set(names)].filter((name) => name !== '').toSorted();
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    this.#check('open', path);
    let inode = this.#names.get(path);
    if (mode === 'create') {
      if (inode !== undefined) throw systemError('EEXIST', path);
      if (!this.#directories.has(parentOf(path))) throw systemError('ENOENT', path);
      this.#names.set(path, (inode = new SimulatedInode(path)));
    }
    if (inode === undefined) throw systemError('ENOENT', path);
    return new SimulatedFile(inode, this, (operation) => this.#check(operation, path));
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('rename', from);
    if (this.#directories.has(from)) return this.#renameDirectory(from, to);
    const inode = this.#names.get(from);
    if (inode === undefined) throw systemError('ENOENT', from);
    this.#names.delete(from);
    inode.path = to;
    this.#names.set(to, inode);
  }

  /** Durable at once, as the making of a directory is here. */
  #renameDirectory(from: string, to: string): void {
    const moved = (path: string): string =>
      path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
    this.#directories = new Set([...this.#directories].map(moved));
    for (const names of [this.#names, this.#durableNames]) {
      const entries = [...names];
      names.clear();
      for (const [path, inode] of entries) names.set(moved(path), inode);
    }
  }

  async link(path: string, second: string): Promise<void> {
    this.#check('rename', path);
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    if (this.#names.has(second)) throw systemError('EEXIST', second);
    this.#names.set(second, inode);
  }

  /** As {@link FileSystem.remove}. */
  async remove(path: string): Promise<void> {
    this.#check('remove', path);
    if (!this.#names.delete(path)) throw systemError('ENOENT', path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#check('syncDirectory', path);
    for (const name of this.#namesEver()) {
      if (parentOf(name) !== path) continue;
      const inode = this.#names.get(name);
      if (inode === undefined) this.#durableNames.delete(name);
      else this.#durableNames.set(name, inode);
    }
  }

  async freeBytes(_path: string): Promise<number> {
    return this.freeBytesNow;
  }

  get freeBytesNow(): number {
    if (this.capacityBytes === Infinity) return Infinity;
    return Math.max(0, this.capacityBytes - this.usedBytes);
  }

  /** What all files together have. Bytes. */
  get usedBytes(): number {
    let bytes = 0;
    for (const inode of this.#names.values()) bytes += inode.size;
    return bytes;
  }

  /** Whether a sync has failed, so that readers may see what no later sync makes durable. */
  get hasDropped(): boolean {
    return [...this.#names.values()].some((inode) => inode.hasDropped);
  }

  #namesEver(): Set<string> {
    return new Set([...this.#durableNames.keys(), ...this.#names.keys()]);
  }

  /**
   * What `kill -9` leaves: every write and every name. They are as durable as they were: a power cut after it may
   * still take them. Of writes under way, so much is there as `random` says; nothing by default.
   */
  afterKill(random: () => number = () => 0): SimulatedFileSystem {
    const inodes = new Map<SimulatedInode, SimulatedInode>();
    const copied = (inode: SimulatedInode): SimulatedInode => {
      const copy = inodes.get(inode) ?? inode.afterKill(random);
      inodes.set(inode, copy);
      return copy;
    };
    const left = this.#withDirectories();
    for (const [path, inode] of this.#names) left.#names.set(path, copied(inode));
    for (const [path, inode] of this.#durableNames) left.#durableNames.set(path, copied(inode));
    return left;
  }

  /**
   * What a power cut may leave: names without a directory sync may be lost or kept; of each unsynced write, any of
   * its sectors may be there, in any order. `random` gives numbers in [0, 1).
   */
  afterPowerCut(random: () => number): SimulatedFileSystem {
    const names = new Map(this.#durableNames);
    for (const name of this.#namesEver()) {
      const inode = this.#names.get(name);
      if (inode === this.#durableNames.get(name) || random() < 0.5) continue;
      if (inode === undefined) names.delete(name);
      else names.set(name, inode);
    }
    const left = this.#withDirectories();
    for (const [path, inode] of names) {
      const torn = inode.afterPowerCut(random);
      torn.path = path;
      left.#names.set(path, torn);
      left.#durableNames.set(path, torn);
    }
    return left;
  }

  #withDirectories(): SimulatedFileSystem {
    const copy = new SimulatedFileSystem();
    copy.#directories = new Set(this.#directories);
    return copy;
  }

  /** The bytes of a file, as a reader sees them now. */
  readNow(path: string): Buffer {
    return Buffer.from(this.#inode(path).bytes);
  }

  /** Puts bytes in place of a file's, as a bad disk or a stranger would. */
  replaceNow(path: string, bytes: Uint8Array): void {
    this.#inode(path).replace(bytes);
  }

  #inode(path: string): SimulatedInode {
    const inode = this.#names.get(path);
    if (inode === undefined) throw systemError('ENOENT', path);
    return inode;
  }

  /** All files, sorted by path. */
  paths(): string[] {
    return [...this.#names.keys()].toSorted();
  }
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}
