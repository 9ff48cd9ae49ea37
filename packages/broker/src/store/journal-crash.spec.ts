import { beforeAll, describe, expect, it } from '@jest/globals';
import { pick, seededRandom, withSeed } from '../random.spec.support.js';
import { act, actInGroups } from './journal-history.spec.support.js';
import { durable, JOURNAL, JournalModel, journalOn } from './journal-model.spec.support.js';
import {
  RecordingFileSystem,
  type RecordedWrite,
  stoppedInside,
} from './recording-file-system.spec.support.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

describe('J3 when the process is killed at any byte of any write', () => {
  let recorded: RecordedWrite[];
  let model: JournalModel;

  beforeAll(async () => {
    const inner = new SimulatedFileSystem();
    const recording = new RecordingFileSystem(inner);
    const store = journalOn(recording, { segmentBytesMax: 2048 });
    await store.open();
    model = new JournalModel(store);
    recording.moment = () => model.moment;
    await actInGroups(store, model, seededRandom(3), { groups: 60, bodyBytesMax: 60 });
    await store.close();
    recorded = recording.writes;
  });

  it('the history has commits, several segments and a snapshot of the definitions to be killed in', () => {
    const paths = new Set(recorded.map(({ path }) => path));
    expect(paths).toContain(`${JOURNAL}/durable`);
    expect(paths).toContain(`${JOURNAL}/definitions.json.new`);
    expect([...paths].filter((path) => path.endsWith('.segment')).length).toBeGreaterThanOrEqual(4);
    const last = recorded.at(-1)?.before.paths() ?? [];
    expect(last.filter((path) => path.endsWith('.segment')).length).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ['with the durable mark', false],
    ['when the durable mark is lost', true],
  ])(
    'every confirmed message is there and no settled one, %s',
    async (_, withoutMark) => {
      let cases = 0;
      for (const write of recorded) {
        for (let count = 0; count <= write.bytes.length; count++) {
          const files = await stoppedInside(write, count);
          if (withoutMark) await files.remove(`${JOURNAL}/durable`).catch(() => {});
          const store = journalOn(files);
          try {
            await model.check(store, await store.open(), write.moment);
          } catch (cause) {
            throw new Error(`${write.path} at ${write.position}, ${count} of ${write.bytes.length} bytes`, {
              cause,
            });
          }
          await store.close();
          cases++;
        }
      }
      const bytes = recorded.reduce((sum, write) => sum + write.bytes.length + 1, 0);
      expect(cases).toBe(bytes);
      expect(cases).toBeGreaterThan(12_000);
    },
    60_000,
  );
});

describe('J3 when the power is cut at a random moment of a random history', () => {
  const seeds = Number(process.env['NESTMQ_CRASH_SEEDS'] ?? 300);

  it(
    `it opens with every confirmed message and no settled one, ${seeds} seeds`,
    async () => {
      let cuts = 0;
      for (let seed = 1; seed <= seeds; seed++) {
        await withSeed(seed, async (random) => {
          cuts += await liveThroughPowerCuts(random);
        });
      }
      expect(cuts).toBe(seeds * 4);
    },
    Math.max(60_000, seeds * 500),
  );
});

/** Four lives on one disk, each ended by a power cut, some of them while they begin. */
async function liveThroughPowerCuts(random: () => number): Promise<number> {
  let files = new SimulatedFileSystem();
  let store = journalOn(files);
  await store.open();
  const model = new JournalModel(store);
  let cuts = 0;
  for (; cuts < 4; cuts++) {
    await actUntilSomeMoment(model, random);
    const { moment } = model;
    files = files.afterPowerCut(random);
    if (random() < 0.3) files = await openUntilSomeMoment(files, random);
    store = journalOn(files);
    const recovered = await store.open();
    await model.check(store, recovered, moment);
    model.adopt(store, recovered);
  }
  await durable(store);
  await store.close();
  return cuts;
}

async function actUntilSomeMoment(model: JournalModel, random: () => number): Promise<void> {
  for (let left = 10 + pick(random, 120); left > 0; left--) {
    act(model, random, 200);
    model.watch();
    // Sometimes a part of the commit that is under way, so that the cut comes at any place of it.
    for (let turns = pick(random, 12); turns > 8; turns--) await new Promise(setImmediate);
    for (let turns = pick(random, 6); turns > 0; turns--) await Promise.resolve();
  }
}

async function openUntilSomeMoment(
  files: SimulatedFileSystem,
  random: () => number,
): Promise<SimulatedFileSystem> {
  const store = journalOn(files);
  const opening = store.open();
  for (let turns = pick(random, 60); turns > 0; turns--) await Promise.resolve();
  const left = files.afterPowerCut(random);
  await opening;
  await store.close();
  return left;
}
