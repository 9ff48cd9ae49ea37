import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import type { Clock, Timer } from './clock.js';

/** The heap of this process, to which V8 counts what sockets and files are read into. */
export interface Heap {
  usedBytes(): number;
  /** By how much of its size it grows before all of it is collected; 0 leaves that to V8. Percent. */
  letGrow(percent: number): void;
}

/** V8 reads it after each collection. To one that it does not know it says so on the standard error, and goes on. */
export const growthFlag = (percent: number): string => `--heap-growing-percent=${percent}`;

export const v8Heap: Heap = {
  usedBytes: () => getHeapStatistics().used_heap_size,
  letGrow: (percent) => setFlagsFromString(growthFlag(percent)),
};

/** More is of no use: with so much read from outside V8 begins a collection in any case. Bytes. */
const HEADROOM_BYTES_MAX = 64 * 1024 * 1024;
/** A small machine has less to spare: this share of its memory. */
const HEADROOM_SHARE = 1 / 16;
/** V8 itself lets a heap grow by so much at most, and by less when it is large. Percent. */
const V8_PERCENT_MAX = 300;
/** The heap is looked at so often. Milliseconds. */
const LOOK_EVERY_MS = 1000;

export interface HeapHeadroomInit {
  readonly heap: Heap;
  readonly clock: Clock;
  /** That there is for this process. Bytes. */
  readonly memoryBytes: number;
}

/**
 * Lets a small heap grow by 64 MiB between two collections of all of it, or by a sixteenth of the memory if that is less. V8
 * would let one of 9 MiB grow by some 25, and bodies of 16 KiB fill that twenty times a second. A heap that is large
 * is left to V8. For a process that does nothing else.
 */
export class HeapHeadroom {
  readonly #init: HeapHeadroomInit;
  readonly #bytes: number;
  #percent = 0;
  #timer: Timer | undefined;

  /** Takes effect at once. */
  constructor(init: HeapHeadroomInit) {
    this.#init = init;
    this.#bytes = Math.min(HEADROOM_BYTES_MAX, init.memoryBytes * HEADROOM_SHARE);
    this.#look();
  }

  #look(): void {
    const { heap, clock } = this.#init;
    const percent = Math.floor((100 * this.#bytes) / heap.usedBytes());
    this.#set(percent > V8_PERCENT_MAX ? percent : 0);
    this.#timer = clock.setTimer(LOOK_EVERY_MS, () => this.#look());
  }

  #set(percent: number): void {
    if (percent === this.#percent) return;
    this.#percent = percent;
    this.#init.heap.letGrow(percent);
  }

  /** All is left to V8 again. Idempotent. */
  close(): void {
    this.#timer?.cancel();
    this.#set(0);
  }
}
