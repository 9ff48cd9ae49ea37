import { describe, expect, it } from '@jest/globals';
import { faultsOf, NO_FAULTS } from './phase.js';
import { recoveryPhase } from './recovery-phase.js';

const KILLS = 16;
const JOURNAL_BYTES = 8 * 1024 * 1024;

describe('J3 a broker that is killed with SIGKILL while it opens, several times in a row', () => {
  it('opens in the end with every confirmed message in order, and none that is settled', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await recoveryPhase(KILLS, seed, JOURNAL_BYTES);
    // The seed, so that a failure can be repeated.
    expect({ seed, ...faultsOf(result) }).toEqual({ seed, ...NO_FAULTS });
    // Else nothing was shown.
    expect(result.journalBytes).toBeGreaterThanOrEqual(JOURNAL_BYTES);
    expect(result.confirmed).toBeGreaterThan(1000);
    expect(result.settled).toBeGreaterThan(1000);
    expect(result.killsAtOpening).toBeGreaterThan(KILLS / 4);
  }, 60_000);
});
