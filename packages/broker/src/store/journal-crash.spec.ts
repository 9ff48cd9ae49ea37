import { beforeAll, describe, expect, it } from '@jest/globals';
import { seededRandom } from '../random.spec.support.js';
import { actInGroups } from './journal-history.spec.support.js';
import { JOURNAL, JournalModel, journalOn } from './journal-model.spec.support.js';
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
