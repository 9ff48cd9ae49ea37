import type { Clock, Timer } from '@nestmq/broker';
import type { Link } from '../links/link.js';

/**
 * Resolves with true when everything done before is durable, with false after `ms`: it goes on then, and how it ends is
 * nobody's business any more. Rejects as {@link Link.flush} does.
 */
export async function flushWithin(link: Pick<Link, 'flush'>, clock: Clock, ms: number): Promise<boolean> {
  let timer: Timer | undefined;
  const isOver = new Promise<false>((resolve) => {
    timer = clock.setTimer(ms, () => resolve(false));
  });
  // Promise.race listens to both, so a rejection that comes later is not unhandled.
  const isFlushed = await Promise.race([link.flush().then((): true => true), isOver]);
  timer?.cancel();
  return isFlushed;
}
