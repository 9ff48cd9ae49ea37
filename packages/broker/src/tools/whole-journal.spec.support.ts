import { seededRandom } from '../random.spec.support.js';
import { act, actInGroups } from '../store/journal-history.spec.support.js';
import { durable, JournalModel, journalOn } from '../store/journal-model.spec.support.js';
import { SimulatedFileSystem } from '../store/simulated-file-system.js';

/** The broker's directory, whose journal is where the store's specs have it. */
export const DIRECTORY = '/data';

/** A journal with some of everything, closed well, and the model that knows what it holds. */
export async function wholeJournal(seed = 3): Promise<{ files: SimulatedFileSystem; model: JournalModel }> {
  const files = new SimulatedFileSystem();
  const store = journalOn(files, { segmentBytesMax: 2048 });
  await store.open();
  const model = new JournalModel(store);
  for (const id of [1, 2, 3]) model.define(`["queue","/","queue.${id}"]`, { id, autoDelete: false });
  const random = seededRandom(seed);
  await actInGroups(store, model, random, { groups: 60, bodyBytesMax: 60 });
  // So that the oldest message of all is not what keeps the files.
  for (let i = 0; i < 5; i++) act(model, random, 60);
  await durable(store);
  await store.close();
  return { files, model };
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
