import { describe, expect, it } from '@jest/globals';
import { fullDiskPhase } from './full-disk-phase.js';
import { faultsOf, NO_FAULTS } from './phase.js';

const KILLS = 12;

describe('J5 a broker that is killed with SIGKILL on a full disk', () => {
  it('delivers every confirmed message in order once there is room, and none again that is settled', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await fullDiskPhase(KILLS, seed);
    if ('skipped' in result) {
      console.warn(`Skipped, for want of a disk that can be filled: ${result.skipped}`);
      expect(process.env['CI']).not.toBe('true');
      return;
    }
    // The seed, so that a failure can be repeated.
    expect({ seed, ...faultsOf(result) }).toEqual({ seed, ...NO_FAULTS });
    // Else nothing was shown.
    expect(result.confirmed).toBeGreaterThan(KILLS * 10);
    expect(result.repeated).toBeGreaterThan(0);
    expect(result.settled).toBeGreaterThan(0);
    expect(result.killsWhenFull).toBeGreaterThan(1);
  }, 60_000);
});
