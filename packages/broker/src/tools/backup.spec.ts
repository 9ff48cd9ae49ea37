import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { seededRandom, withSeed } from '../random.spec.support.js';
import { act, ORDERLY } from '../store/journal-history.spec.support.js';
import { durable, JOURNAL, JournalModel, journalOn, rowsOf } from '../store/journal-model.spec.support.js';
import type { JournalStore } from '../store/journal-store.js';
import { SimulatedFileSystem, systemError } from '../store/simulated-file-system.js';
import { backUpJournal } from './backup.js';
import { checkJournal } from './check.js';
import { changed, DIRECTORY, flipped, segmentsOf, wholeJournal } from './whole-journal.spec.support.js';

const TO = '/copies/one';
const COPY = `${TO}/journal`;

interface Running {
  readonly files: SimulatedFileSystem;
  readonly store: JournalStore;
  readonly model: JournalModel;
  readonly clock: ManualClock;
  /** Works in groups, each confirmed, until `work` is done. */
  readonly during: <R>(work: Promise<R>) => Promise<R>;
}

/** A disk that takes its time, so that others come in between. */
function slow<T extends object>(disk: T): T {
  const get = (_: T, name: string | symbol): unknown => {
    const method: unknown = Reflect.get(disk, name);
    if (typeof method !== 'function') return method;
    return async (...args: unknown[]) => {
      await new Promise(setImmediate);
      const result: unknown = await Reflect.apply(method, disk, args);
      return name === 'open' ? slow(result as object) : result;
    };
  };
  return new Proxy(disk, { get });
}

/** A store at work on small segments, so that they come and go all the time. */
async function running(random: () => number): Promise<Running> {
  const files = new SimulatedFileSystem();
  const clock = new ManualClock();
  const store = journalOn(files, { segmentBytesMax: 2048, clock });
  await store.open();
  const model = new JournalModel(store);
  store.compactFor(model);
  const group = async (): Promise<void> => {
    for (let i = 0; i < 4; i++) act(model, random, 100, ORDERLY);
    model.watch();
    await durable(store);
  };
  for (let i = 0; i < 60; i++) await group();
  return {
    files,
    store,
    model,
    clock,
    async during(work) {
      const state = { isDone: false };
      const done = work.finally(() => (state.isDone = true));
      while (!state.isDone) {
        await group().catch(async () => {
          clock.advance(60_000);
          await new Promise(setImmediate);
        });
      }
      return done;
    },
  };
}

/** What is in a journal, and in which order. */
async function rowsIn(files: SimulatedFileSystem, directory: string): Promise<object> {
  const store = journalOn(files, { directory });
  const { entries, definitions } = await store.open();
  await store.close();
  return [[...entries].map(([id, columns]) => [id, rowsOf(columns)]), [...definitions]];
}

async function assertHolds({ files, model }: Running, confirmed: number): Promise<void> {
  const begun = model.steps;
  const copy = journalOn(files, { directory: COPY });
  await model.check(copy, await copy.open(), { durable: confirmed, begun });
  await copy.close();
}

describe('nestmq backup', () => {
  it('holds, of a broker at work, all that was confirmed when it began, in order, and nothing else', async () => {
    let removed = 0;
    for (let seed = 1; seed <= 20; seed++) {
      await withSeed(seed, async (random) => {
        const broker = await running(random);
        const before = segmentsOf(broker.files)[0] as string;
        const confirmed = broker.model.moment.durable;
        const report = await broker.during(backUpJournal(slow(broker.files), DIRECTORY, TO));
        await assertHolds(broker, confirmed);
        expect(report.segments).toBeGreaterThan(1);
        if (!broker.files.paths().includes(before)) removed++;
        expect(await rowsIn(broker.files, COPY)).toEqual(await rowsIn(broker.files, COPY));
        expect(await checkJournal(broker.files, TO)).toMatchObject({ verdict: 'sound' });
        await broker.store.close();
      });
    }
    // Segments went while they were copied, or the test proves little.
    expect(removed).toBeGreaterThan(10);
  }, 60_000);

  it('holds it too when the disk fails meanwhile, and the broker heals', async () => {
    let healed = 0;
    for (let seed = 1; seed <= 20; seed++) {
      await withSeed(seed, async (random) => {
        const broker = await running(random);
        const { files } = broker;
        let failures = 0;
        files.fault = (operation, path) =>
          (operation === 'write' || operation === 'sync') && path.startsWith(JOURNAL) && random() < 0.05
            ? (failures++, systemError('EIO', path))
            : undefined;
        const confirmed = broker.model.moment.durable;
        await broker.during(backUpJournal(slow(files), DIRECTORY, TO));
        files.fault = undefined;
        if (failures > 0) healed++;
        await assertHolds(broker, confirmed);
      });
    }
    expect(healed).toBeGreaterThan(10);
  }, 60_000);

  it('of a closed broker is the same, and leaves it as it was', async () => {
    const { files } = await wholeJournal();
    const before = files.afterKill();
    await backUpJournal(files, DIRECTORY, `${TO}/`);
    expect(files.paths().filter((path) => path.startsWith(DIRECTORY))).toEqual(before.paths());
    for (const path of before.paths()) expect(files.readNow(path)).toEqual(before.readNow(path));
    expect(await rowsIn(files, COPY)).toEqual(await rowsIn(before, JOURNAL));
  });

  it('survives a power cut once it is done', async () => {
    const { files } = await wholeJournal();
    await backUpJournal(files, DIRECTORY, TO);
    const after = files.afterPowerCut(seededRandom(1));
    expect(await checkJournal(after, TO)).toMatchObject({ verdict: 'sound' });
  });

  it('makes nothing of a damaged journal, nor of a copy that does not read', async () => {
    const { files } = await wholeJournal();
    const [first = ''] = segmentsOf(files);
    const damaged = await changed(files, first, flipped(files.readNow(first), 300, 0xff));
    await expect(backUpJournal(damaged, DIRECTORY, TO)).rejects.toMatchObject({ code: 'JOURNAL_DAMAGED' });
    expect(damaged.paths().filter((path) => path.startsWith(TO))).toEqual([]);
    expect(await damaged.list('/copies')).toEqual(['one.partial']);
    // What it has left is not in the way of the next one.
    damaged.replaceNow(first, files.readNow(first));
    await backUpJournal(damaged, DIRECTORY, TO);
  });

  it('goes to no directory that has something in it, and not into the journal', async () => {
    const { files } = await wholeJournal();
    await expect(backUpJournal(files, DIRECTORY, DIRECTORY)).rejects.toThrow('is not empty. Give one that');
    await expect(backUpJournal(files, DIRECTORY, `${JOURNAL}/copy`)).rejects.toThrow('in the journal itself');
    await files.makeDirectory(`${TO}.partial`);
    await (await files.open(`${TO}.partial/notes`, 'create')).close();
    await expect(backUpJournal(files, DIRECTORY, TO)).rejects.toThrow('is in the way');
    expect(files.paths()).toContain(`${TO}.partial/notes`);
  });

  it('goes over an empty directory', async () => {
    const { files } = await wholeJournal();
    await files.makeDirectory(TO);
    await backUpJournal(files, DIRECTORY, TO);
    expect(await checkJournal(files, TO)).toMatchObject({ verdict: 'sound' });
  });
});
