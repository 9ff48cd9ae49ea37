import type { File } from './file-system.js';
import { prefixOf, type SimulatedInode } from './simulated-inode.js';

/** What the files of one disk have in common. */
export interface SimulatedDisk {
  readonly wait: ((operation: 'write' | 'sync', path: string) => Promise<void> | undefined) | undefined;
  readonly random: () => number;
  readonly freeBytesNow: number;
}

/** A system error as Node would throw it. */
export function systemError(code: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: simulated, '${path}'`), { code, path });
}

/** An open file. Whoever has it open still sees it when its name is gone. */
export class SimulatedFile implements File {
  #closed = false;

  constructor(
    private readonly inode: SimulatedInode,
    private readonly disk: SimulatedDisk,
    private readonly fault: (operation: 'write' | 'read' | 'sync') => void,
  ) {}

  #assertOpen(): void {
    if (this.#closed) throw systemError('EBADF', this.inode.path);
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const copy = await this.#waitToWrite(bytes, position);
    this.#store(copy, position);
  }

  async writeDurably(bytes: Uint8Array, position: number): Promise<void> {
    const copy = await this.#waitToWrite(bytes, position);
    const fits = this.#whatFits(copy, position);
    if (fits < copy.length) return this.#store(copy, position);
    this.#failWrite(copy, position);
    const end = this.inode.beginDurableWrite(copy, position);
    await this.#sync(end);
    return undefined;
  }

  /** The bytes as they are now: whoever gave them may change them once the write is done. */
  async #waitToWrite(bytes: Uint8Array, position: number): Promise<Buffer> {
    this.#assertOpen();
    const copy = Buffer.from(bytes);
    const waiting = this.disk.wait?.('write', this.inode.path);
    if (waiting === undefined) return copy;
    const underWay = { position, bytes: copy };
    this.inode.underWay.add(underWay);
    await waiting;
    this.inode.underWay.delete(underWay);
    return copy;
  }

  /** All of it, or what is stored before it fails. */
  #store(bytes: Buffer, position: number): void {
    this.#failWrite(bytes, position);
    const fits = this.#whatFits(bytes, position);
    if (fits > 0 || bytes.length === 0) this.inode.write(bytes.subarray(0, fits), position);
    if (fits < bytes.length) throw systemError('ENOSPC', this.inode.path);
  }

  #failWrite(bytes: Buffer, position: number): void {
    try {
      this.fault('write');
    } catch (error) {
      const part = prefixOf(bytes, this.disk.random);
      if (part.length > 0) this.inode.write(part, position);
      throw error;
    }
  }

  #whatFits(bytes: Buffer, position: number): number {
    const grows = position + bytes.length - this.inode.size;
    const free = this.disk.freeBytesNow;
    return grows <= free ? bytes.length : Math.max(0, bytes.length - (grows - free));
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    this.#assertOpen();
    this.fault('read');
    const part = this.inode.bytes.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  }

  async sync(): Promise<void> {
    this.#assertOpen();
    // What was written after the call began is not promised.
    await this.#sync(this.inode.beginSync());
  }

  /** A failed one is not made good by the next: the system takes for clean what it could not write (J5). */
  async #sync(end: (ended: 'durable' | 'dropped') => void): Promise<void> {
    await this.disk.wait?.('sync', this.inode.path);
    try {
      this.fault('sync');
    } catch (error) {
      end('dropped');
      throw error;
    }
    end('durable');
  }

  async size(): Promise<number> {
    this.#assertOpen();
    return this.inode.size;
  }

  async truncate(size: number): Promise<void> {
    this.#assertOpen();
    this.inode.truncate(size);
  }

  async close(): Promise<void> {
    this.#assertOpen();
    this.#closed = true;
  }
}
