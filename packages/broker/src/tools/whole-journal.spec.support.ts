import { expect } from '@jest/globals';
import { seededRandom } from '../random.spec.support.js';
import { act, actInGroups, ORDERLY, STUCK } from '../store/journal-history.spec.support.js';
import { durable, JournalModel, journalOn } from '../store/journal-model.spec.support.js';
import type { JournalStore } from '../store/journal-store.js';
import { SimulatedFileSystem } from '../store/simulated-file-system.js';

/** The broker's directory, whose journal is where the store's specs have it. */
export const DIRECTORY = '/data';

/** A journal with some of everything, closed well, and the model that knows what it holds. */
export async function wholeJournal(): Promise<{ files: SimulatedFileSystem; model: JournalModel }> {
  return journalAfter((store, model, random) =>
    actInGroups(store, model, random, {
      groups: 60,
      bodyBytesMax: 60,
      habits: { ...ORDERLY, marking: seededRandom(4) },
    }),
  );
}

/** One whose old messages were brought forward while others came and went. */
export async function compactedJournal(): Promise<{ files: SimulatedFileSystem; model: JournalModel }> {
  return journalAfter(async (store, model, random) => {
    store.compactFor(model);
    const habits = { ...STUCK, marking: seededRandom(5) };
    for (let group = 0; group < 250; group++) {
      for (let i = 0; i < 5; i++) act(model, random, 60, habits);
      await durable(store);
    }
    expect(store.compactions).toBeGreaterThan(2);
  });
}

async function journalAfter(
  history: (store: JournalStore, model: JournalModel, random: () => number) => Promise<void>,
): Promise<{ files: SimulatedFileSystem; model: JournalModel }> {
  const files = new SimulatedFileSystem();
  const store = journalOn(files, { segmentBytesMax: 2048 });
  await store.open();
  const model = new JournalModel(store);
  for (const id of [1, 2, 3]) model.define(`["queue","/","queue.${id}"]`, { id, autoDelete: false });
  await history(store, model, seededRandom(3));
  await store.close();
  await syncAll(files);
  return { files, model };
}

/** Time has passed: what was only with the system is on the disk, the indexes too. */
async function syncAll(files: SimulatedFileSystem): Promise<void> {
  for (const path of files.paths()) {
    const file = await files.open(path, 'write');
    await file.sync();
    await file.close();
    await files.syncDirectory(path.slice(0, path.lastIndexOf('/')));
  }
}

export function segmentsOf(files: SimulatedFileSystem): string[] {
  return files.paths().filter((path) => path.endsWith('.segment'));
}

/** The files with other bytes in one of them, and without some. */
export async function changed(
  files: SimulatedFileSystem,
  path: string,
  bytes: Buffer,
  ...without: readonly string[]
): Promise<SimulatedFileSystem> {
  const copy = files.afterKill();
  copy.replaceNow(path, bytes);
  for (const gone of without) if (copy.paths().includes(gone)) await copy.remove(gone);
  return copy;
}

export function flipped(bytes: Buffer, at: number, pattern: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ pattern;
  return copy;
}

export function indexOf(path: string): string {
  return path.replace('.segment', '.index');
}

/** Whether the broker opens it and hands over all that must be in it. */
export async function opensWhole(files: SimulatedFileSystem, model: JournalModel): Promise<boolean> {
  const store = journalOn(files);
  try {
    await model.check(store, await store.open(), { durable: Infinity, begun: Infinity });
    return true;
  } catch {
    return false;
  } finally {
    await store.close().catch(() => {});
  }
}
