import type { File, FileSystem } from './file-system.js';

/** What may be made to fail, and how: return the error to throw, or nothing. Called before each operation. */
export type FaultInjector = (
  operation:
    'makeDirectory' | 'list' | 'open' | 'rename' | 'remove' | 'syncDirectory' | 'write' | 'read' | 'sync',
  path: string,
) => Error | undefined;

interface Node {
  /** What a reader sees now. */
  data: Buffer;
  /** What a power cut certainly leaves. */
  synced: Buffer;
  /** Writes since the last sync, in order: each may survive a power cut whole, in part, or not at all. */
  unsynced: { position: number; bytes: Buffer }[];
  path: string;
}

/** A system error as Node would throw it. */
export function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated, '${path}'`), { code, path });
}

const SECTOR_BYTES = 512;

/**
 * A file system in memory that knows what a crash would leave. For tests and for the testing package: names are
 * durable only after `syncDirectory`, bytes only after `sync`.
 */
export class SimulatedFileSystem implements FileSystem {
  #directories = new Set<string>(['/', '.']);
  #names = new Map<string, Node>();
  /** The names a power cut certainly leaves. */
  #durableNames = new Map<string, Node>();
  fault: FaultInjector | undefined;

  #check(operation: Parameters<FaultInjector>[0], path: string): void {
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
    let node = this.#names.get(path);
    if (mode === 'create') {
      if (node !== undefined) throw systemError('EEXIST', path);
      if (!this.#directories.has(parentOf(path))) throw systemError('ENOENT', path);
      node = { data: Buffer.alloc(0), synced: Buffer.alloc(0), unsynced: [], path };
      this.#names.set(path, node);
    }
    if (node === undefined) throw systemError('ENOENT', path);
    return new SimulatedFile(node, (operation) => this.#check(operation, path));
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check('rename', from);
    if (this.#directories.has(from)) return this.#renameDirectory(from, to);
    const node = this.#names.get(from);
    if (node === undefined) throw systemError('ENOENT', from);
    this.#names.delete(from);
    node.path = to;
    this.#names.set(to, node);
  }

  /** Durable at once, as the making of a directory is here. */
  #renameDirectory(from: string, to: string): void {
    const moved = (path: string): string =>
      path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path;
    this.#directories = new Set([...this.#directories].map(moved));
    for (const names of [this.#names, this.#durableNames]) {
      const entries = [...names];
      names.clear();
      for (const [path, node] of entries) names.set(moved(path), node);
    }
  }

  async link(path: string, second: string): Promise<void> {
    this.#check('rename', path);
    const node = this.#names.get(path);
    if (node === undefined) throw systemError('ENOENT', path);
    if (this.#names.has(second)) throw systemError('EEXIST', second);
    this.#names.set(second, node);
  }

  async remove(path: string): Promise<void> {
    this.#check('remove', path);
    if (!this.#names.delete(path)) throw systemError('ENOENT', path);
  }

  async syncDirectory(path: string): Promise<void> {
    this.#check('syncDirectory', path);
    for (const name of new Set([...this.#durableNames.keys(), ...this.#names.keys()])) {
      if (parentOf(name) !== path) continue;
      const node = this.#names.get(name);
      if (node === undefined) this.#durableNames.delete(name);
      else this.#durableNames.set(name, node);
    }
  }

  async freeBytes(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }

  /** What `kill -9` leaves: every write and every name, synced or not. */
  afterKill(): SimulatedFileSystem {
    return this.#copy(this.#names, (node) => node.data);
  }

  /**
   * What a power cut may leave: names without a directory sync may be lost or kept; of each unsynced write, any of
   * its sectors may be there, in any order. `random` gives numbers in [0, 1).
   */
  afterPowerCut(random: () => number): SimulatedFileSystem {
    const names = new Map(this.#durableNames);
    for (const name of new Set([...this.#durableNames.keys(), ...this.#names.keys()])) {
      const node = this.#names.get(name);
      if (node === this.#durableNames.get(name) || random() < 0.5) continue;
      if (node === undefined) names.delete(name);
      else names.set(name, node);
    }
    return this.#copy(names, (node) => tear(node, random));
  }

  #copy(names: Map<string, Node>, content: (node: Node) => Buffer): SimulatedFileSystem {
    const copy = new SimulatedFileSystem();
    copy.#directories = new Set(this.#directories);
    for (const [path, node] of names) {
      const data = Buffer.from(content(node));
      const fresh = { data, synced: Buffer.from(data), unsynced: [], path };
      copy.#names.set(path, fresh);
      copy.#durableNames.set(path, fresh);
    }
    return copy;
  }

  /** The bytes of a file, as a reader sees them now. */
  readNow(path: string): Buffer {
    const node = this.#names.get(path);
    if (node === undefined) throw systemError('ENOENT', path);
    return Buffer.from(node.data);
  }

  /** Puts bytes in place of a file's, as a bad disk or a stranger would. */
  replaceNow(path: string, bytes: Uint8Array): void {
    const node = this.#names.get(path);
    if (node === undefined) throw systemError('ENOENT', path);
    node.data = Buffer.from(bytes);
    node.synced = Buffer.from(bytes);
    node.unsynced = [];
  }

  /** All files, sorted by path. */
  paths(): string[] {
    return [...this.#names.keys()].toSorted();
  }
}

class SimulatedFile implements File {
  #closed = false;

  constructor(
    private readonly node: Node,
    private readonly fault: (operation: 'write' | 'read' | 'sync') => void,
  ) {}

  #check(operation?: 'write' | 'read' | 'sync'): void {
    if (this.#closed) throw systemError('EBADF', this.node.path);
    if (operation !== undefined) this.fault(operation);
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    this.writeNow(bytes, position);
  }

  async writeDurably(bytes: Uint8Array, position: number): Promise<void> {
    await this.write(bytes, position);
    await this.sync();
  }

  writeNow(bytes: Uint8Array, position: number): void {
    this.#check('write');
    const copy = Buffer.from(bytes);
    this.node.data = overlay(this.node.data, copy, position);
    this.node.unsynced.push({ position, bytes: copy });
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#check('read');
    const part = this.node.data.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  async sync(): Promise<void> {
    this.#check();
    // What was written after the call began is not promised, so the picture is taken before waiting.
    const written = this.node.data;
    const count = this.node.unsynced.length;
    await Promise.resolve();
    this.#check('sync');
    this.node.synced = Buffer.from(written);
    this.node.unsynced.splice(0, count);
  }

  async size(): Promise<number> {
    this.#check();
    return this.node.data.length;
  }

  async truncate(size: number): Promise<void> {
    this.#check();
    this.node.data = Buffer.from(this.node.data.subarray(0, size));
    this.node.synced = Buffer.from(this.node.synced.subarray(0, size));
    this.node.unsynced = this.node.unsynced
      .filter((write) => write.position < size)
      .map((write) => ({ position: write.position, bytes: write.bytes.subarray(0, size - write.position) }));
  }

  async close(): Promise<void> {
    this.#check();
    this.#closed = true;
  }
}

function overlay(data: Buffer, bytes: Buffer, position: number): Buffer {
  const size = Math.max(data.length, position + bytes.length);
  const result = Buffer.alloc(size);
  data.copy(result);
  bytes.copy(result, position);
  return result;
}

function tear(node: Node, random: () => number): Buffer {
  let data: Buffer = Buffer.from(node.synced);
  for (const write of node.unsynced) {
    // A write is kept, lost, cut at any byte, or any of its sectors are there.
    const fate = random();
    if (fate < 0.25) continue;
    if (fate < 0.5) data = overlay(data, write.bytes, write.position);
    else if (fate < 0.75) {
      data = overlay(
        data,
        write.bytes.subarray(0, Math.floor(random() * write.bytes.length)),
        write.position,
      );
    } else {
      for (let at = 0; at < write.bytes.length;) {
        const sectorEnd = SECTOR_BYTES - ((write.position + at) % SECTOR_BYTES);
        const part = write.bytes.subarray(at, at + sectorEnd);
        if (random() < 0.5) data = overlay(data, part, write.position + at);
        at += part.length;
      }
    }
  }
  return data;
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  if (slash < 0) return '.';
  return slash === 0 ? '/' : path.slice(0, slash);
}
