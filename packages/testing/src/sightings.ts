import { timeoutOf, type WaitOptions } from './idle.js';
import { isMeant } from './matching.js';
import type { SeenMessage } from './seen.js';

/** Which messages are meant: a pattern with AMQP's wildcards, and what else must be true. @default all */
export type Predicate<T> = (seen: T) => boolean;

export interface Watched<T> {
  /** For errors: `published`. */
  readonly verb: string;
  /** What has been seen, in order. */
  readonly seen: () => readonly T[];
  /** Calls back after each change of what is seen, until what it returns is called. */
  readonly watch: (onChange: () => void) => () => void;
  readonly timeline: () => string;
}

/**
 * Messages that were seen, and those to come. `all` is what there is now; to await it is to wait for the first one:
 *
 * ```ts
 * const { data } = await harness.consumed('order.placed', ({ data }) => data.id === 7);
 * ```
 *
 * Waiting begins with what is past, then goes on by events. A miss rejects, and its message has the timeline of all messages.
 */
export class Sightings<T extends SeenMessage> implements PromiseLike<T> {
  constructor(
    private readonly watched: Watched<T>,
    private readonly pattern: string,
    private readonly predicate: Predicate<T>,
  ) {}

  /** Those seen until now, in order. */
  get all(): readonly T[] {
    return this.watched.seen().filter((one) => isMeant(this.pattern, one.pattern) && this.predicate(one));
  }

  get count(): number {
    return this.all.length;
  }

  /**
   * Resolves with the first `count`, when there are as many. Rejects with the timeline when they do not come in time, and
   * with what the predicate throws.
   */
  async times(count: number, options: WaitOptions = {}): Promise<readonly T[]> {
    if (!(count >= 0)) throw new TypeError(`'count' is ${String(count)}. Give a number, 0 or more.`);
    const timeoutMs = timeoutOf(options);
    const enough = this.all;
    if (enough.length >= count) return enough.slice(0, count);
    return this.#untilThereAre(count, timeoutMs);
  }

  #untilThereAre(count: number, timeoutMs: number): Promise<readonly T[]> {
    return new Promise((resolve, reject) => {
      const end = (tell: () => void): void => {
        clearTimeout(timer);
        stop();
        tell();
      };
      const look = (): void => {
        try {
          const now = this.all;
          if (now.length >= count) end(() => resolve(now.slice(0, count)));
        } catch (error) {
          // A predicate's error is the test's, not that of the message which has just come.
          end(() => reject(error));
        }
      };
      const stop = this.watched.watch(look);
      const timer = setTimeout(() => end(() => reject(new Error(this.#miss(count, timeoutMs)))), timeoutMs);
    });
  }

  /** The first one, with a time limit of its own. */
  async first(options: WaitOptions = {}): Promise<T> {
    const [first] = await this.times(1, options);
    return first as T;
  }

  /** As {@link first}: what `await` calls. */
  // oxlint-disable-next-line unicorn/no-thenable -- to be awaited is what it is for
  then<R = T, E = never>(
    onSeen?: ((seen: T) => R | PromiseLike<R>) | null,
    onMiss?: ((reason: unknown) => E | PromiseLike<E>) | null,
  ): Promise<R | E> {
    return this.first().then(onSeen, onMiss);
  }

  /** In words, with the timeline of all messages. */
  describe(): string {
    return `${this.count} of '${this.pattern}' ${this.watched.verb}.\n\n${this.watched.timeline()}`;
  }

  #miss(count: number, timeoutMs: number): string {
    const { verb, timeline } = this.watched;
    return `Expected ${count} of '${this.pattern}' to be ${verb} within ${timeoutMs} ms, but there are ${this.count}.\n\n${timeline()}`;
  }
}
