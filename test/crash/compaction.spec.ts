import { describe, expect, it } from '@jest/globals';
import { compactionPhase } from './compaction-phase.js';
import { faultsOf, NO_FAULTS } from './phase.js';

const KILLS = 6;

describe('J7 a broker that is killed with SIGKILL while it brings stuck messages forward', () => {
  it('delivers every confirmed message in order, and none again that is settled or was moved', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await compactionPhase(KILLS, seed);
    // The seed, so that a failure can be repeated.
    expect({ seed, ...faultsOf(result) }).toEqual({ seed, ...NO_FAULTS });
    // Else nothing was shown.
    expect(result.confirmed).toBeGreaterThan(KILLS * 10);
    expect(result.repeated).toBeGreaterThan(0);
    expect(result.compactions).toBeGreaterThan(KILLS);
    expect(result.killsAtCompaction).toBeGreaterThan(KILLS / 2);
  }, 60_000);
});
