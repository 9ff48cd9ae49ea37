import { describe, expect, it } from '@jest/globals';
import { applicationPhase } from './application-phase.js';
import { faultsOf, NO_FAULTS } from './phase.js';

const KILLS = 12;

describe('an application that is killed with SIGKILL while it publishes and consumes', () => {
  it('has handled every confirmed message in the end, and none comes back', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await applicationPhase(KILLS, seed);
    // The seed, so that a failure can be repeated.
    expect({ seed, ...faultsOf(result) }).toEqual({ seed, ...NO_FAULTS });
    // Else nothing was shown.
    expect(result.confirmed).toBeGreaterThan(KILLS * 10);
    expect(result.repeated).toBeGreaterThan(0);
  }, 120_000);
});
