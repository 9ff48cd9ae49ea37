import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock } from '@nestmq/broker';
import { type Duration, millisecondsOf } from '@nestmq/transport';

/**
 * So many turns of the event loop without a change, and what is due has run. A message takes one or two from hop to hop,
 * also through a socket of this process.
 */
export const QUIET_TURNS = 10;

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

/** As long as a server waits for its clients. Milliseconds, of real time. */
const PATIENCE_MS = 2000;
/** Longer than any time that something waits for while it ends. Milliseconds. */
const WAIT_MS_MAX = 30 * 86_400_000;

/**
 * Awaits the end of something that may wait for time. A manual clock nobody moves any more: after two seconds of real time it is
 * moved, further and further.
 */
export async function untilEnded(ending: Promise<unknown>, clock: ManualClock | undefined): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  const state = { isOver: clock === undefined };
  const ended = ending.finally(() => {
    state.isOver = true;
  });
  // Awaited below; until then a rejection is not unhandled.
  ended.catch(() => undefined);
  for (let stepMs = PATIENCE_MS; !state.isOver && stepMs < WAIT_MS_MAX;) {
    await nextTurn();
    if (performance.now() < giveUpAt) continue;
    clock?.advance(stepMs);
    stepMs *= 2;
  }
  await ended;
}

/** Awaits it for two seconds at most. Rejects when it does so within them. */
export async function withinRealTime(ending: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, PATIENCE_MS);
  });
  try {
    await Promise.race([ending, over]);
  } finally {
    clearTimeout(timer);
  }
}
