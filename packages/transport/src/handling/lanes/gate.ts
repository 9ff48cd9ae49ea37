/** Where what is to start waits for its turn, first come first served. */
export interface Gate {
  /**
   * True: go, and `leave` afterwards. False: not to begin, since the intake has stopped, or it is stale by the time its
   * turn comes.
   */
  enter(isStale: () => boolean): boolean | Promise<boolean>;
  leave(): void;
  /** Whoever waits does not begin, nor does who comes later. Idempotent. */
  stop(): void;
  /** Open again. */
  start(): void;
}

/**
 * Begins when every gate lets it, and leaves them when it has ended, well or not. Undefined: it did not begin. The first
 * gate is held while the next is waited for, so that the last one sees starts as they are.
 */
export async function through<T>(
  gates: readonly Gate[],
  isStale: () => boolean,
  begin: () => Promise<T>,
): Promise<T | undefined> {
  const [gate, ...others] = gates;
  if (gate === undefined) return begin();
  if (!(await gate.enter(isStale))) return undefined;
  try {
    return await through(others, isStale, begin);
  } finally {
    gate.leave();
  }
}
