import type { Clock, Message } from '@nestmq/broker';
import type { Execute } from './execute.js';
import { DONE } from './outcome.js';
import type { Run } from './work.js';

/**
 * From when on nobody waits for a request any more that has come at `receivedMs`. Its `expiration` is what was left of its
 * caller's time when it was sent, so that this is never too early, whatever the caller's clock says. Undefined: no end is
 * known.
 */
export function lateAtOf(
  { properties }: Pick<Message, 'properties'>,
  receivedMs: number,
): number | undefined {
  const { expiration } = properties;
  return expiration === undefined || !/^\d+$/.test(expiration) ? undefined : receivedMs + Number(expiration);
}

/** Does not begin what has waited here (for others of its handler, or a rate) until nobody waits for it. */
export function unlessLate(execute: Execute, clock: Clock, onLate: (run: Run) => void): Execute {
  return (run) => {
    const { lateAt } = run.work;
    if (lateAt === undefined || clock.now() < lateAt) return execute(run);
    onLate(run);
    return Promise.resolve(DONE);
  };
}
