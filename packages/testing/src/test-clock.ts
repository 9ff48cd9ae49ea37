import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '@nestmq/broker';
import { type Duration, millisecondsOf } from '@nestmq/transport';

/**
 * So many turns of the event loop without a change, and what is due has run. A message takes one or two from hop to hop,
 * also through a socket of this process.
 */
const QUIET_TURNS = 10;

/**
 * Resolves when `stateOf` has been the same for some turns of the event loop. What waits for something else than messages
 * and the clock (a file, another process) is not waited for.
 */
export async function quiet(stateOf: () => string): Promise<void> {
  let before = stateOf();
  for (let turns = 0; turns < QUIET_TURNS; turns++) {
    await nextTurn();
    const now = stateOf();
    if (now !== before) turns = -1;
    before = now;
  }
}

/** Moves the clock from timer to timer, and lets what each one has begun come to rest before the next. */
export async function advance(clock: ManualClock, by: Duration, stateOf: () => string): Promise<void> {
  const ms = millisecondsOf(by);
  if (ms === undefined) {
    throw new TypeError(
      `Time can't move by '${String(by)}'. Give milliseconds, or such as '5s', '10m', '7d'.`,
    );
  }
  const target = clock.now() + ms;
  const state = (): string => `${stateOf()} ${clock.now()} ${clock.nextTimerAt ?? ''}`;
  await quiet(state);
  for (let next = clock.nextTimerAt; next !== undefined && next <= target; next = clock.nextTimerAt) {
    clock.advance(Math.max(0, next - clock.now()));
    await quiet(state);
  }
  clock.advance(target - clock.now());
}
