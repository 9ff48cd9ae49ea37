import { totalmem } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock, Timer } from './clock.js';

/** What is known of memory. */
export interface MemoryGauge {
  /** Of this process. Throws where that can't be known now: the system reads it from a file, and may have none left to open. */
  usedBytes(): number;
  /** That there is for it: the machine's, or what a control group leaves of it. */
  limitBytes(): number;
  /** Gives back what is used no more. May take long. */
  release(): void;
}

/** What this process uses, and what the machine or its control group has. */
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
    const used = this.#measured();
    if (used !== undefined) this.#judge(used);
    this.#timer = this.#init.clock.setTimer(LOOK_EVERY_MS, () => this.#look());
  }

  /** Undefined when it can't be known now: then all stays as it is until the next look. */
  #measured(): number | undefined {
    const { gauge } = this.#init;
    try {
      const used = gauge.usedBytes();
      const isReleased = this.#looksBlocked % LOOKS_BY_RELEASE === LOOKS_BY_RELEASE - 1;
      if (used <= this.#bytesMax || !isReleased) return used;
      gauge.release();
      return gauge.usedBytes();
    } catch {
      return undefined;
    }
  }

  #judge(used: number): void {
    const wasBlocked = this.#looksBlocked > 0;
    this.#looksBlocked = used > this.#bytesMax ? this.#looksBlocked + 1 : 0;
    if (this.#looksBlocked > 0 !== wasBlocked)
      this.#init.onChange(wasBlocked ? undefined : this.#reason(used));
  }

  #reason(used: number): string {
    return `The process uses ${used} bytes of memory; publishing waits until it uses ${this.#bytesMax} at most.`;
  }

  close(): void {
    this.#timer?.cancel();
  }
}
