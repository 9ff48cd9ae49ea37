import type { Link, LinkDelivery } from '../links/link.js';

/** What becomes of a message that a scan has come to. `keep`: it stays in its place. */
export type Verdict = 'keep' | 'settled' | 'end';

export interface ScanBounds {
  /** Messages that are kept, and so held until the scan ends. */
  readonly keptMax: number;
  /** What their bodies take. */
  readonly keptBytesMax: number;
}

/** What is held is kept away from consumers, and in memory. */
export const SCAN_BOUNDS: ScanBounds = { keptMax: 10_000, keptBytesMax: 64 * 1024 * 1024 };

/**
 * Takes one after the other of the messages that are in a queue now, and asks what is to become of each. Those to be kept
 * are back in their places and order at the end, however it ends; those that come meanwhile are not looked at, so that it
 * ends. Resolves with whether it has come to all of them: it stops early at `end`, and when what it keeps is beyond the bounds.
 */
export async function scan(
  link: Link,
  queue: string,
  judge: (delivery: LinkDelivery) => Promise<Verdict>,
  { keptMax, keptBytesMax }: ScanBounds = SCAN_BOUNDS,
): Promise<boolean> {
  const kept: LinkDelivery[] = [];
  let keptBytes = 0;
  try {
    const { ready = 0 } = (await link.queueState(queue)) ?? {};
    for (let seen = 0; seen < ready; seen++) {
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
