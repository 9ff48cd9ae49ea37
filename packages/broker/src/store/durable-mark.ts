import { crc32 } from 'node:zlib';
import { systemCodeOf } from '../errors.js';
import type { File, FileSystem } from './file-system.js';
import type { Position } from './record.js';

const MARK_BYTES = 20;

export interface Marked {
  readonly position: Position;
  /** Segments from this one on are there, unless something was lost. */
  readonly firstSegment: number;
}

/**
 * How far the journal is durable, written after each fdatasync and never waited for: position u64, number of the
 * oldest segment u64, CRC-32 u32.
 *
 * It tells a torn tail from damage: bytes above the mark may be anything after a crash, bytes below it were on the
 * disk, so if they do not read, something was lost and must be said (J4). The mark may be behind the truth (a power
 * cut may lose it), never ahead of it. The oldest segment is the one thing that is waited for, before one is removed:
 * so that a segment that was removed by somebody else is missed.
 */
export class DurableMark {
  readonly #bytes = Buffer.alloc(MARK_BYTES);
  firstSegment: number = 0;

  private constructor(private readonly file: File) {}

  static async open(fileSystem: FileSystem, path: string): Promise<{ mark: DurableMark; marked: Marked }> {
    const file = await openOrCreate(fileSystem, path);
    return { mark: new DurableMark(file), marked: await readMarked(file) };
  }

  /** Only looks. No file says nothing, as a damaged one does. */
  static async read(fileSystem: FileSystem, path: string): Promise<Marked> {
    let file: File;
    try {
      file = await fileSystem.open(path, 'read');
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return { position: 0, firstSegment: 0 };
      throw error;
    }
    try {
      return await readMarked(file);
    } finally {
      await file.close();
    }
  }

  write(position: Position): void {
    this.#bytes.writeUInt32BE(Math.floor(position / 2 ** 32), 0);
    this.#bytes.writeUInt32BE(position % 2 ** 32, 4);
    this.#bytes.writeUInt32BE(Math.floor(this.firstSegment / 2 ** 32), 8);
    this.#bytes.writeUInt32BE(this.firstSegment % 2 ** 32, 12);
    this.#bytes.writeUInt32BE(crc32(this.#bytes.subarray(0, 16)), 16);
    this.file.writeNow(this.#bytes, 0);
  }

  sync(): Promise<void> {
    return this.file.sync();
  }

  async close(): Promise<void> {
    try {
      await this.file.sync();
    } finally {
      await this.file.close();
    }
  }
}

async function readMarked(file: File): Promise<Marked> {
  const bytes = Buffer.alloc(MARK_BYTES);
  const count = await file.read(bytes, 0);
  const valid = count === MARK_BYTES && crc32(bytes.subarray(0, 16)) === bytes.readUInt32BE(16);
  return {
    position: valid ? Number(bytes.readBigUInt64BE(0)) : 0,
    firstSegment: valid ? Number(bytes.readBigUInt64BE(8)) : 0,
  };
}

async function openOrCreate(fileSystem: FileSystem, path: string): Promise<File> {
  try {
    return await fileSystem.open(path, 'write');
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
    return fileSystem.open(path, 'create');
  }
}
