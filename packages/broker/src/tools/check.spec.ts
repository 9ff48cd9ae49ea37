import { beforeAll, describe, expect, it } from '@jest/globals';
import { JOURNAL, type JournalModel, journalOn } from '../store/journal-model.spec.support.js';
import type { SimulatedFileSystem } from '../store/simulated-file-system.js';
import { checkJournal, type CheckReport } from './check.js';
import {
  changed,
  DIRECTORY,
  flipped,
  indexOf,
  opensWhole,
  segmentsOf,
  wholeJournal,
} from './whole-journal.spec.support.js';

let whole: SimulatedFileSystem;
let model: JournalModel;

beforeAll(async () => {
  ({ files: whole, model } = await wholeJournal());
});

/** What the tool says, having changed nothing. */
async function check(files: SimulatedFileSystem): Promise<CheckReport> {
  const before = files.afterKill();
  const report = await checkJournal(files, DIRECTORY);
  expect(files.paths()).toEqual(before.paths());
  for (const path of files.paths()) {
    if (!files.readNow(path).equals(before.readNow(path))) throw new Error(`${path} was changed`);
  }
  return report;
}

/** Throws unless the tool says that there is damage where the broker would refuse or lose something, and only there. */
async function assertAgrees(files: SimulatedFileSystem, without: readonly string[]): Promise<boolean> {
  const { verdict } = await check(files);
  const opened = files.afterKill();
  for (const path of without) if (opened.paths().includes(path)) await opened.remove(path);
  const sound = await opensWhole(opened, model);
  if (sound !== (verdict === 'sound'))
    throw new Error(`check says ${verdict}, the broker opens it: ${sound}`);
  return sound;
}

describe('nestmq check', () => {
  it('says of a whole journal that it is sound, and how much is in it', async () => {
    const report = await check(whole.afterKill());
    expect(report).toMatchObject({ verdict: 'sound', problems: [], notes: [] });
    expect(report.segments.length).toBeGreaterThan(2);
    expect(report.segments.map(({ index }) => index).slice(0, -1)).not.toContain('missing');
    expect(report.messages).toBe(model.live().length);
    expect(report.segments.reduce((sum, { live }) => sum + live, 0)).toBe(model.live().length);
  });

  it.each([
    ['any byte', 0xff, 1],
    ['every fifth byte', 0x01, 5],
  ])(
    'with %s of any file changed by ^%i, agrees with what the broker makes of the records',
    async (_, pattern, step) => {
      const counts = { sound: 0, damaged: 0 };
      for (const path of whole.paths()) {
        const bytes = whole.readNow(path);
        for (let at = 0; at < bytes.length; at += step) {
          try {
            const files = await changed(whole, path, flipped(bytes, at, pattern));
            counts[(await assertAgrees(files, [indexOf(path)])) ? 'sound' : 'damaged']++;
          } catch (cause) {
            throw new Error(`${path}, byte ${at} changed`, { cause });
          }
        }
      }
      expect(counts.damaged).toBeGreaterThan(3000 / step);
      expect(counts.sound).toBeGreaterThan(100 / step);
    },
    120_000,
  );

  it('with a segment cut at any byte, agrees with the broker', async () => {
    let damaged = 0;
    for (const path of segmentsOf(whole)) {
      const bytes = whole.readNow(path);
      for (let size = 0; size < bytes.length; size += 3) {
        const files = await changed(whole, path, bytes.subarray(0, size));
        if (!(await assertAgrees(files, []))) damaged++;
      }
    }
    expect(damaged).toBeGreaterThan(1000);
  }, 60_000);

  it('with the last segment cut and no mark, takes for a torn tail what the broker takes for one', async () => {
    const path = segmentsOf(whole).at(-1) as string;
    const bytes = whole.readNow(path);
    const notes = { torn: 0, unfinished: 0 };
    for (let size = 0; size < bytes.length; size++) {
      const files = await changed(whole, path, bytes.subarray(0, size), `${JOURNAL}/durable`);
      const report = await check(files);
      expect(report.problems).toEqual([]);
      expect(report.notes.length).toBeLessThanOrEqual(1);
      if (report.notes[0]?.includes('no whole record') === true) notes.torn++;
      if (report.notes[0]?.includes('was being made') === true) notes.unfinished++;
      const store = journalOn(files);
      await store.open();
      await store.close();
    }
    expect(notes.unfinished).toBe(32);
    expect(notes.torn).toBeGreaterThan(bytes.length / 2);
  });

  it('passes over a segment that was being removed', async () => {
    const files = whole.afterKill();
    await files.link(segmentsOf(files).at(-1) as string, `${JOURNAL}/0000000001.segment`);
    expect(segmentsOf(whole)[0]).not.toContain('0000000001');
    expect(await assertAgrees(files, [])).toBe(true);
  });

  it('with any file missing, agrees with the broker', async () => {
    for (const path of whole.paths()) {
      const files = await changed(whole, path, Buffer.alloc(0), path);
      try {
        expect(await assertAgrees(files, [])).toBe(path.endsWith('.index') || path.endsWith('/durable'));
      } catch (cause) {
        throw new Error(`without ${path}`, { cause });
      }
    }
  });
});
