import { describe, expect, it } from '@jest/globals';
import { faultsOf, NO_FAULTS } from './phase.js';
import { rollPhase } from './roll-phase.js';

const KILLS = 8;

describe('a broker that is killed with SIGKILL while segments roll and are removed', () => {
  it('delivers every confirmed message in order, and none again that is settled', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await rollPhase(KILLS, seed);
    // The seed, so that a failure can be repeated.
    expect({ seed, ...faultsOf(result) }).toEqual({ seed, ...NO_FAULTS });
    // Else nothing was shown.
    expect(result.confirmed).toBeGreaterThan(KILLS * 10);
    expect(result.settled).toBeGreaterThan(KILLS * 10);
    expect(result.repeated).toBeGreaterThan(0);
    expect(result.rolled).toBeGreaterThan(KILLS);
    expect(result.removed).toBeGreaterThan(KILLS);
  }, 60_000);
});
