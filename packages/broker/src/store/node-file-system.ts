import * as fs from 'node:fs';
import * as path from 'node:path';
import { systemCodeOf } from '../errors.js';
import type { File, FileSystem } from './file-system.js';

const FLAGS = { create: 'wx+', write: 'r+', read: 'r' } as const;

/** {@link FileSystem} on `node:fs`. */
export const nodeFileSystem: FileSystem = {
  makeDirectory,
  async list(directory) {
    return (await fs.promises.readdir(directory)).toSorted();
  },
  open(file, mode) {
    return new Promise((resolve, reject) => {
      fs.open(file, FLAGS[mode], (error, fd) => (error ? reject(error) : resolve(new NodeFile(fd, file))));
    });
  },
  rename: (from, to) => fs.promises.rename(from, to),
  link: (file, second) => fs.promises.link(file, second),
  remove: (file) => fs.promises.unlink(file),
  async syncDirectory(directory) {
    // Windows can't open a directory; NTFS journals its names itself.
    if (process.platform === 'win32') return;
    const handle = await fs.promises.open(directory, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async freeBytes(file) {
    const { bavail, bsize } = await fs.promises.statfs(file);
    return bavail * bsize;
  },
};

/**
 * One by one, each name made durable in its parent. Not `mkdir` with `recursive`: where the system answers ENOENT to
 * a parent that exists (as in /proc), Node tries for ever.
 */
async function makeDirectory(directory: string): Promise<void> {
  const parent = path.dirname(directory);
  try {
    await fs.promises.mkdir(directory);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === 'EEXIST' && (await fs.promises.stat(directory)).isDirectory()) return;
    if (code !== 'ENOENT' || parent === directory || (await exists(parent))) throw error;
    await makeDirectory(parent);
    await fs.promises.mkdir(directory);
  }
  await nodeFileSystem.syncDirectory(parent);
}

async function exists(file: string): Promise<boolean> {
  try {
    await fs.promises.stat(file);
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
    return false;
  }
}

/**
 * Where the system does a write and its fdatasync in one call, there is no way back through a busy event loop between
 * the two. Not on macOS: there O_DSYNC does less than the fdatasync of Node (F_FULLFSYNC).
 */
const DURABLE_WRITE_FLAGS =
  process.platform === 'linux' ? fs.constants.O_WRONLY | fs.constants.O_DSYNC : undefined;

class NodeFile implements File {
  readonly #fd: number;
  readonly #path: string;
  /** The same file, opened for durable writes when the first one comes. */
  #durableFd: number | undefined;

  constructor(fd: number, file: string) {
    this.#fd = fd;
    this.#path = file;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    return writeAll(this.#fd, bytes, position);
  }

  async writeDurably(bytes: Uint8Array, position: number): Promise<void> {
    if (DURABLE_WRITE_FLAGS === undefined) {
      await this.write(bytes, position);
      return this.sync();
    }
    this.#durableFd ??= fs.openSync(this.#path, DURABLE_WRITE_FLAGS);
    return writeAll(this.#durableFd, bytes, position);
  }

  read(into: Uint8Array, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const next = (from: number): void => {
        fs.read(this.#fd, into, from, into.length - from, position + from, (error, count) => {
          if (error) reject(error);
          else if (count === 0 || from + count >= into.length) resolve(from + count);
          else next(from + count);
        });
      };
      next(0);
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#fd, (error, stats) => (error ? reject(error) : resolve(stats.size)));
    });
  }

  truncate(size: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, size, (error) => (error ? reject(error) : resolve()));
    });
  }

  async close(): Promise<void> {
    if (this.#durableFd !== undefined) await close(this.#durableFd);
    await close(this.#fd);
  }
}

function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (from: number): void => {
      fs.write(fd, bytes, from, bytes.length - from, position + from, (error, written) => {
        if (error) reject(error);
        else if (from + written >= bytes.length) resolve();
        else next(from + written);
      });
    };
    next(0);
  });
}

function close(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.close(fd, (error) => (error ? reject(error) : resolve()));
  });
}
