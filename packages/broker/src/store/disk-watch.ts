import type { Clock, Timer } from '../clock.js';
import { messageOf } from '../errors.js';
import type { FileSystem } from './file-system.js';

export interface DiskWatchInit {
  readonly fileSystem: FileSystem;
  readonly clock: Clock;
  readonly directory: string;
  /** Below this much free space publishers are blocked. Bytes; 0 never blocks. */
  readonly freeBytesMin: number;
  /** Told when it begins, with the reason in words, and when it ends, with undefined. */
  readonly onChange: (blocked: string | undefined) => void;
}

/** How often the disk is asked while publishers are blocked. Milliseconds. */
const LOOK_AGAIN_MS = 1000;
/** The disk is asked after each so many bytes written, or a quarter of the limit if that is less. */
const LOOK_AFTER_BYTES = 16 * 1024 * 1024;

/**
 * Watches the free space of the disk, so that publishers are stopped while there is still room for what consumers need
 * to write (J5): their settlements are what gives the disk back.
 */
export class DiskWatch {
  readonly #init: DiskWatchInit;
  #blocked: string | undefined;
  #bytesSinceLook = 0;
  #looking: Promise<void> | undefined;
  #timer: Timer | undefined;
  #closed = false;

  constructor(init: DiskWatchInit) {
    this.#init = init;
  }

  get blocked(): string | undefined {
    return this.#blocked;
  }

  written(bytes: number): void {
    const { freeBytesMin } = this.#init;
    this.#bytesSinceLook += bytes;
    if (freeBytesMin === 0 || this.#bytesSinceLook < Math.min(LOOK_AFTER_BYTES, freeBytesMin / 4)) return;
    void this.look();
  }

  /** Asks the disk now. Never rejects: a disk that does not answer is taken to be full. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { fileSystem, directory, freeBytesMin, clock } = this.#init;
    if (freeBytesMin === 0 || this.#closed) return;
    this.#bytesSinceLook = 0;
    let why: string | undefined;
    try {
      const free = await fileSystem.freeBytes(directory);
      if (free < freeBytesMin) {
        why = `The disk of '${directory}' has ${free} bytes left; publishing waits until it has ${freeBytesMin}.`;
      }
    } catch (error) {
      why = `The disk of '${directory}' does not say how much is free (${messageOf(error)}); publishing waits until it does.`;
    }
    if (this.#closed) return;
    const changed = (why === undefined) !== (this.#blocked === undefined);
    this.#blocked = why;
    this.#timer?.cancel();
    if (why !== undefined) this.#timer = clock.setTimer(LOOK_AGAIN_MS, () => void this.look());
    if (changed) this.#init.onChange(why);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#looking;
  }
}
