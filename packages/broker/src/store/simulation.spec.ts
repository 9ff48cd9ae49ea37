import { describe, expect, it } from '@jest/globals';
import { seedThatFinds, shorten } from '../simulating.spec.support.js';
import { PLANTED_FAULTS } from './planted-faults.spec.support.js';
import { type PlantedFault, simulate, withFault } from './simulation.spec.support.js';

const SEEDS = Number(process.env['NESTMQ_SIMULATION_SEEDS'] ?? 300);

describe('the simulation', () => {
  it(
    `finds nothing lost, risen again or wrong in ${SEEDS} random histories`,
    async () => {
      const sum = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
      for (let seed = 1; seed <= SEEDS; seed++) {
        const done = await simulate(seed).catch((cause: unknown) => {
          throw new Error(`seed ${seed}`, { cause });
        });
        sum.operations += done.operations;
        sum.crashes += done.crashes;
        sum.diskErrors += done.diskErrors;
        sum.compactions += done.compactions;
      }
      // Else nothing was shown.
      expect(sum.operations).toBeGreaterThan(SEEDS * 50);
      expect(sum.crashes).toBeGreaterThan(SEEDS * 4);
      expect(sum.diskErrors).toBeGreaterThan(SEEDS / 10);
      expect(sum.compactions).toBeGreaterThan(SEEDS);
    },
    Math.max(60_000, SEEDS * 500),
  );

  it.each([['a copy and its delivery counts came apart', 15_157]])(
    'does not find again what it once found: %s',
    async (_what, seed) => {
      await expect(simulate(seed)).resolves.toHaveProperty('crashes');
    },
  );

  it.each(PLANTED_FAULTS.map((fault) => [fault.name, fault] as const))(
    'finds a planted fault: %s',
    async (_name, fault) => {
      expect(await seedThatFinds(withFault(fault), fault.withinSeeds)).toBeDefined();
    },
    60_000,
  );

  it('shrinks a history that fails, and tells it in words', async () => {
    const simulation = withFault(PLANTED_FAULTS[0] as PlantedFault);
    const seed = (await seedThatFinds(simulation, 20)) ?? 0;
    const { history, failure } = await shorten(simulation, seed);
    expect(failure).toMatch(/message \d+ of queue \d|is defined as|is damaged at/);
    expect(history.length).toBeGreaterThan(0);
    expect(history.some((line) => line.startsWith('publish '))).toBe(true);
    expect(history.some((line) => line.startsWith('crash'))).toBe(true);
  });
});
