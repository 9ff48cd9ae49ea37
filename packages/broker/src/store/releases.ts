import type { Position } from './record.js';

/** So many are let go of in one go: others have their turn after it. */
const RELEASES_PER_TURN = 16_384;

/**
 * Calls `release` for each position: for the first of many before this returns, for the others in turns to come. Those that it has not
 * come to count as needed, and no more than that. `goesOn` is asked in each of these turns; with no it is over.
 */
export function releaseInTurns(
  positions: Iterator<Position>,
  release: (position: Position) => void,
  goesOn: () => boolean,
): void {
  for (let count = 0; count < RELEASES_PER_TURN; count++) {
    const { value, done } = positions.next();
    if (done === true) return;
    release(value);
  }
  setImmediate(() => {
    if (goesOn()) releaseInTurns(positions, release, goesOn);
  });
}
