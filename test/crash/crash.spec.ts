import { describe, expect, it } from '@jest/globals';
import { crashLoop } from './crash-loop.js';

const KILLS = 20;

describe('an application that is killed with SIGKILL while it publishes and consumes', () => {
  it('has handled every confirmed message in the end, and none comes back', async () => {
    const seed = Math.floor(Math.random() * 2 ** 32);
    const result = await crashLoop(KILLS, seed);
    // The seed, so that a failure can be repeated.
    expect({ seed, lost: result.lost, resurrected: result.resurrected }).toEqual({
      seed,
      lost: 0,
      resurrected: 0,
    });
    // Else nothing was shown.
    expect(result.confirmed).toBeGreaterThan(KILLS * 10);
    expect(result.repeated).toBeGreaterThan(0);
  }, 120_000);
});
