import type { Link, LinkDelivery } from '../links/link.js';

/** What becomes of a message that a scan has come to. `keep`: it stays in its place. `end`: it does too, and is the last. */
export type Verdict = 'keep' | 'settled' | 'end';

export interface ScanBounds {
  /** Messages that are kept, and so held until the scan ends. */
  readonly keptMax: number;
  /** What their bodies take. */
  readonly keptBytesMax: number;
  /** Messages beyond those that the broker counts at the beginning, which it may do a moment late. */
  readonly lateMax: number;
}

/** What is held is kept away from consumers, and in memory. */
const SCAN_BOUNDS: ScanBounds = { keptMax: 10_000, keptBytesMax: 64 * 1024 * 1024, lateMax: 10_000 };

/**
 * Takes one after the other of the messages of a queue, and asks what is to become of each. Those to be kept are back in
 * their places and order at the end, however it ends. It ends when the queue is empty, or when it has seen what was there at
 * the beginning and a bounded number of those that came meanwhile. Resolves with whether it has come so far: not when it
 * holds as much as it may, or at the verdict `end`.
 */
export async function scan(
  link: Link,
  queue: string,
  judge: (delivery: LinkDelivery) => Promise<Verdict>,
  { keptMax, keptBytesMax, lateMax }: ScanBounds = SCAN_BOUNDS,
): Promise<boolean> {
  const kept: LinkDelivery[] = [];
  let keptBytes = 0;
  try {
    const state = await link.queueState(queue);
    const seenMax = state === undefined ? 0 : state.ready + lateMax;
    for (let seen = 0; seen < seenMax; seen++) {
      if (kept.length >= keptMax || keptBytes >= keptBytesMax) return false;
      const delivery = await link.take(queue);
      if (delivery === undefined) break;
      // Until it is settled it goes back, whatever happens.
      kept.push(delivery);
      const verdict = await judge(delivery);
      if (verdict === 'settled') kept.pop();
      else keptBytes += delivery.message.body.length;
      if (verdict === 'end') return false;
    }
    return true;
  } finally {
    for (const delivery of kept) delivery.requeue({ failed: false });
  }
}
