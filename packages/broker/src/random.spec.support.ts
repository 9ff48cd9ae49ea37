/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A whole number from 0 to `below` - 1. */
export function pick(random: () => number, below: number): number {
  return Math.floor(random() * below);
}

export function pickOne<T>(random: () => number, of: readonly T[]): T {
  return of[pick(random, of.length)] as T;
}

/** Runs what `seed` drives; a failure names the seed. */
export async function withSeed(seed: number, run: (random: () => number) => Promise<void>): Promise<void> {
  try {
    await run(seededRandom(seed));
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`seed ${seed}: ${text}`, { cause });
  }
}
