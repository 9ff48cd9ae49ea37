import type { File, FileSystem } from './file-system.js';

export type GatedOperation = 'create' | 'write' | 'sync' | 'syncDirectory' | 'read' | 'remove';

/** Passes everything on, keeps a log of it, and lets a test hold an operation back before it takes effect. */
export class GatedFileSystem implements FileSystem {
  readonly log: { readonly operation: GatedOperation; readonly path: string }[] = [];
  #gates: { readonly operation: GatedOperation; readonly hit: () => void; readonly opened: Promise<void> }[] =
    [];

  constructor(private readonly inner: FileSystem) {}

  /** Holds the next such operation; `reached` resolves when it has come, `open` lets it go on. */
  hold(operation: GatedOperation): { readonly reached: Promise<void>; open(): void } {
    const reached = deferred();
    const opened = deferred();
    this.#gates.push({ operation, hit: reached.resolve, opened: opened.promise });
    return { reached: reached.promise, open: opened.resolve };
  }

  count(operation: GatedOperation, ending: string): number {
    return this.log.filter((one) => one.operation === operation && one.path.endsWith(ending)).length;
  }

  async #pass(operation: GatedOperation, path: string): Promise<void> {
    this.log.push({ operation, path });
    const at = this.#gates.findIndex((gate) => gate.operation === operation);
    if (at < 0) return;
    const [gate] = this.#gates.splice(at, 1);
    gate?.hit();
    await gate?.opened;
  }

  makeDirectory(path: string): Promise<void> {
    return this.inner.makeDirectory(path);
  }

  list(path: string): Promise<string[]> {
    return this.inner.list(path);
  }

  rename(from: string, to: string): Promise<void> {
    return this.inner.rename(from, to);
  }

  link(path: string, second: string): Promise<void> {
    return this.inner.link(path, second);
  }

  async remove(path: string): Promise<void> {
    await this.#pass('remove', path);
    await this.inner.remove(path);
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#pass('syncDirectory', path);
    await this.inner.syncDirectory(path);
  }

  freeBytes(path: string): Promise<number> {
    return this.inner.freeBytes(path);
  }

  async open(path: string, mode: 'create' | 'write' | 'read'): Promise<File> {
    if (mode === 'create') await this.#pass('create', path);
    const file = await this.inner.open(path, mode);
    return {
      write: async (bytes, position) => {
        await this.#pass('write', path);
        await file.write(bytes, position);
      },
      writeDurably: async (bytes, position) => {
        await this.#pass('write', path);
        await file.write(bytes, position);
        await this.#pass('sync', path);
        await file.sync();
      },
      read: async (into, position) => {
        await this.#pass('read', path);
        return file.read(into, position);
      },
      sync: async () => {
        await this.#pass('sync', path);
        await file.sync();
      },
      size: () => file.size(),
      truncate: (size) => file.truncate(size),
      close: () => file.close(),
    };
  }
}

function deferred(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
