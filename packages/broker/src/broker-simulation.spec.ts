import { describe, expect, it } from '@jest/globals';
import { PLANTED_FAULTS, type PlantedFault, withFault } from './broker-planted-faults.spec.support.js';
import { simulateBroker } from './broker-simulation.spec.support.js';
import { type Count, seedThatFinds, shrink } from './simulating.spec.support.js';

const SEEDS = Number(process.env['NESTMQ_SIMULATION_SEEDS'] ?? 300);

describe('the simulation of the engine', () => {
  it(
    `finds nothing lost, risen again, out of order or wrong in ${SEEDS} random histories`,
    async () => {
      const sum: Count = { operations: 0, crashes: 0, diskErrors: 0, compactions: 0 };
      for (let seed = 1; seed <= SEEDS; seed++) {
        const done = await simulateBroker(seed).catch((cause: unknown) => {
          throw new Error(`seed ${seed}`, { cause });
        });
        for (const key of Object.keys(sum) as (keyof Count)[]) sum[key] += done[key];
      }
      // Else nothing was shown.
      expect(sum.operations).toBeGreaterThan(SEEDS * 100);
      expect(sum.crashes).toBeGreaterThan(SEEDS * 3);
      expect(sum.diskErrors).toBeGreaterThan(SEEDS / 4);
      expect(sum.compactions).toBeGreaterThan(SEEDS / 20);
    },
    Math.max(60_000, SEEDS * 500),
  );

  it('is the same for the same seed', async () => {
    const traces = [];
    for (let time = 0; time < 2; time++) {
      const trace: string[] = [];
      await simulateBroker(7, { trace: (line) => trace.push(line) });
      traces.push(trace);
    }
    expect(traces[1]).toEqual(traces[0]);
  });

  it.each(PLANTED_FAULTS.map((fault) => [fault.name, fault] as const))(
    'finds a planted fault: %s',
    async (_name, fault) => {
      expect(await seedThatFinds(withFault(fault), fault.withinSeeds)).toBeDefined();
    },
    60_000,
  );

  it('shrinks a history that fails to what it needs, and tells it in words', async () => {
    const fault = PLANTED_FAULTS.find(({ name }) => name === 'a purge is not written') as PlantedFault;
    const simulation = withFault(fault);
    const seed = (await seedThatFinds(simulation, fault.withinSeeds)) ?? 0;
    const { history, failure } = await shrink(simulation, seed);
    expect(failure).toMatch(/^m\d+ in 'q\d' is there, though it should not be$/);
    expect(history.some((line) => /^purge 'q\d' of [1-9]\d* messages$/.test(line))).toBe(true);
    expect(history.some((line) => line.startsWith('crash'))).toBe(true);
    expect(history.length).toBeLessThan(20);
  }, 60_000);
});
