import { describe, expect, it } from '@jest/globals';
import { RULES_FAULTS } from './broker-rules-faults.spec.support.js';
import { simulateRules } from './broker-rules-simulation.spec.support.js';
import { seedThatFinds } from './simulating.spec.support.js';

const SEEDS = Number(process.env['NESTMQ_SIMULATION_SEEDS'] ?? 200);

describe('the simulation of queues with rules', () => {
  it(
    `finds no message lost, twice, too early or too many in ${SEEDS} random histories`,
    async () => {
      let crashes = 0;
      let diskErrors = 0;
      for (let seed = 1; seed <= SEEDS; seed++) {
        const done = await simulateRules(seed).catch((cause: unknown) => {
          throw new Error(`seed ${seed}`, { cause });
        });
        crashes += done.crashes;
        diskErrors += done.diskErrors;
      }
      // Else nothing was shown.
      expect(crashes).toBeGreaterThan(SEEDS);
      expect(diskErrors).toBeGreaterThan(SEEDS / 10);
    },
    Math.max(60_000, SEEDS * 500),
  );

  it.each(RULES_FAULTS.map((fault) => [fault.name, fault] as const))(
    'finds a planted fault: %s',
    async (_name, { plant, withinSeeds }) => {
      const takeOut = plant();
      try {
        expect(await seedThatFinds(simulateRules, withinSeeds)).toBeDefined();
      } finally {
        for (const one of takeOut.toReversed()) one();
      }
    },
    60_000,
  );
});
