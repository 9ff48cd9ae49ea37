import { crc32 } from 'node:zlib';
import { systemCodeOf } from '../errors.js';
import type { File, FileSystem } from './file-system.js';
import type { Position } from './record.js';

const SLOT_BYTES = 20;
/** Two slots, each in a sector of its own: a write that is torn spoils one of them. */
const SLOT_OFFSETS = [0, 512] as const;
const MARK_BYTES = 532;

export interface Marked {
  readonly position: Position;
  /** Segments from this one on are there, unless something was lost; those before it are done with. */
  readonly firstSegment: number;
}

const NOTHING_MARKED: Marked = { position: 0, firstSegment: 0 };

/** What a mark file says: the better of its two slots. A file that is cut or spoilt says less, or nothing. */
export function decodeMark(bytes: Buffer): Marked {
  let best = NOTHING_MARKED;
  for (const at of SLOT_OFFSETS) {
    const slot = bytes.subarray(at, at + SLOT_BYTES);
    if (slot.length < SLOT_BYTES || crc32(slot.subarray(0, 16)) !== slot.readUInt32BE(16)) continue;
    const marked = {
      position: Number(slot.readBigUInt64BE(0)),
      firstSegment: Number(slot.readBigUInt64BE(8)),
    };
    if (marked.position > best.position || marked.firstSegment > best.firstSegment) best = marked;
  }
  return best;
}

/**
 * How far the journal is durable, and which segment is the oldest that is needed: in each slot a position u64, a
 * segment's number u64, the CRC-32 of these 16 bytes u32.
 *
 * The position is a hint, written when there is time and never waited for. It tells a torn tail from damage: bytes above it
 * may be anything after a crash, bytes below it were on the disk, so if they do not read, something was lost and must be
 * said (J4). It may be behind the truth (a power cut may lose it), never ahead of it. The oldest segment is waited
 * for, in both slots, before older ones are removed: so it does not matter which of their names a power cut brings back, and
 * a segment that was removed by somebody else is missed.
 */
export class DurableMark {
  #slot = 0;
  /** One after the other: what comes last is what counts. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly file: File,
    private marked: Marked,
  ) {}

  static async open(fileSystem: FileSystem, path: string): Promise<{ mark: DurableMark; marked: Marked }> {
    const file = await openOrCreate(fileSystem, path);
    const marked = await readMarked(file);
    return { mark: new DurableMark(file, marked), marked };
  }

  /** Only looks. No file says nothing, as a damaged one does. */
  static async read(fileSystem: FileSystem, path: string): Promise<Marked> {
    let file: File;
    try {
      file = await fileSystem.open(path, 'read');
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return NOTHING_MARKED;
      throw error;
    }
    try {
      return await readMarked(file);
    } finally {
      await file.close();
    }
  }

  /**
   * Notes how far the journal is durable. Resolves when it is written, not when it is on the disk; rejects with what
   * the system says.
   */
  write(position: Position): Promise<void> {
    this.marked = { ...this.marked, position };
    return this.#inTurn(() => this.#writeSlot());
  }

  /** Resolves when both slots say, on the disk, that segments before `number` are done with. */
  forgetBefore(number: number): Promise<void> {
    this.marked = { ...this.marked, firstSegment: number };
    return this.#inTurn(async () => {
      await this.#writeSlot();
      await this.#writeSlot();
      await this.file.sync();
    });
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(work);
    // Whoever asked is told; the next one has its own turn all the same.
    this.#writing = done.catch(() => {});
    return done;
  }

  async #writeSlot(): Promise<void> {
    const { position, firstSegment } = this.marked;
    const bytes = Buffer.alloc(SLOT_BYTES);
    bytes.writeBigUInt64BE(BigInt(position), 0);
    bytes.writeBigUInt64BE(BigInt(firstSegment), 8);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 16)), 16);
    const at = SLOT_OFFSETS[this.#slot as 0 | 1];
    this.#slot = 1 - this.#slot;
    await this.file.write(bytes, at);
  }

  async close(): Promise<void> {
    await this.#writing;
    try {
      await this.file.sync();
    } finally {
      await this.file.close();
    }
  }
}

async function readMarked(file: File): Promise<Marked> {
  const bytes = Buffer.alloc(MARK_BYTES);
  return decodeMark(bytes.subarray(0, await file.read(bytes, 0)));
}

async function openOrCreate(fileSystem: FileSystem, path: string): Promise<File> {
  try {
    return await fileSystem.open(path, 'write');
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
    return fileSystem.open(path, 'create');
  }
}
