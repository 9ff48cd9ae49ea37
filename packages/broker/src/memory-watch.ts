import { totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock, Timer } from './clock.js';

/** What is known of memory. */
export interface MemoryGauge {
  /** Of this process. */
  usedBytes(): number;
  /** That there is for it: the machine's, or what a control group leaves of it. */
  limitBytes(): number;
  /** Gives back what is used no more. May take long. */
  release(): void;
}

export const systemMemory: MemoryGauge = {
  usedBytes: () => process.memoryUsage.rss(),
  limitBytes() {
    const constrained = process.constrainedMemory();
    // Without a limit it is 0, or more than there is.
    return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
  },
  release() {
    // Node collects when something is allocated: who waits for memory allocates nothing, and would wait for ever.
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
  },
};

/** How often memory is looked at, as RabbitMQ does. Milliseconds. */
const LOOK_EVERY_MS = 2500;
/** Memory is given back with every so many looks while publishers are blocked. */
const LOOKS_BY_RELEASE = 4;

export interface MemoryWatchInit {
  readonly gauge: MemoryGauge;
  readonly clock: Clock;
  /** Up to 1, a share of the memory that there is; above, bytes. */
  readonly highWatermark: number;
  /** Told when it begins, with the reason in words, and when it ends, with undefined. */
  readonly onChange: (blocked: string | undefined) => void;
}

/** Watches the memory of this process, so that publishers are stopped before the system ends it. */
export class MemoryWatch {
  readonly #init: MemoryWatchInit;
  readonly #bytesMax: number;
  #looksBlocked = 0;
  #timer: Timer | undefined;

  /** Looks at once. */
  constructor(init: MemoryWatchInit) {
    this.#init = init;
    const { gauge, highWatermark } = init;
    this.#bytesMax = highWatermark > 1 ? highWatermark : Math.floor(highWatermark * gauge.limitBytes());
    this.#look();
  }

  #look(): void {
    const { gauge, clock, onChange } = this.#init;
    let used = gauge.usedBytes();
    if (used > this.#bytesMax && this.#looksBlocked % LOOKS_BY_RELEASE === LOOKS_BY_RELEASE - 1) {
      gauge.release();
      used = gauge.usedBytes();
    }
    const wasBlocked = this.#looksBlocked > 0;
    this.#looksBlocked = used > this.#bytesMax ? this.#looksBlocked + 1 : 0;
    if (this.#looksBlocked > 0 !== wasBlocked) onChange(wasBlocked ? undefined : this.#reason(used));
    this.#timer = clock.setTimer(LOOK_EVERY_MS, () => this.#look());
  }

  #reason(used: number): string {
    return `The process uses ${used} bytes of memory; publishing waits until it uses ${this.#bytesMax} at most.`;
  }

  close(): void {
    this.#timer?.cancel();
  }
}
