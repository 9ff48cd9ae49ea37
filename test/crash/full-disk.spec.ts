import { describe, expect, it } from '@jest/globals';
import { fullDiskPhase, noSpacePhase } from './full-disk-phase.js';
import { faultsOf, NO_FAULTS } from './phase.js';

const KILLS = 12;

describe.each([
  ['on a disk that it keeps from filling up', fullDiskPhase, true],
  ['on a full disk', noSpacePhase, false],
])('J5 a broker that is killed with SIGKILL %s', (_where, phase, watched) => {
  it('delivers every confirmed message in order once there is room, and none again that is settled', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await phase(KILLS, seed);
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
    // Consumers always had room to settle.
    if (watched) expect(result.relieved).toBe(0);
  }, 60_000);
});
