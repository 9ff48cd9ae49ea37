import { beforeAll, describe, expect, it } from '@jest/globals';
import { seededRandom } from '../random.spec.support.js';
import { RECORD_TYPE } from '../store/record.js';
import { type SimulatedFileSystem, systemError } from '../store/simulated-file-system.js';
import { repairJournal } from './repair.js';
import {
  assertKept,
  assertQuarantined,
  type Expected,
  type Piece,
  type Truth,
  truthOf,
  within,
} from './repaired-journal.spec.support.js';
import { DIRECTORY, flipped, segmentsOf, wholeJournal } from './whole-journal.spec.support.js';

let truth: Truth;
let segments: string[];

beforeAll(async () => {
  const { files, model } = await wholeJournal();
  truth = truthOf(files, model);
  segments = segmentsOf(files);
});

interface Damage {
  readonly files: SimulatedFileSystem;
  readonly expected: Expected;
}

/** Settlements, moves and messages that only the indexes know, lost in each sealed segment. */
function sealedDamaged(): Damage {
  const files = truth.whole.afterKill();
  const unreadable = new Set<number>();
  const damage = (piece: Piece | undefined): void => {
    if (piece === undefined) return;
    files.replaceNow(piece.path, flipped(files.readNow(piece.path), piece.start + 5, 0xff));
    unreadable.add(piece.position);
  };
  for (const path of segments.slice(0, -1)) {
    const here = truth.pieces.filter((piece) => piece.path === path);
    for (const type of [RECORD_TYPE.settle, RECORD_TYPE.move, RECORD_TYPE.requeue, RECORD_TYPE.define])
      damage(here.find((piece) => piece.type === type));
  }
  return { files, expected: { unreadable, mayRise: false } };
}

/** Damage of every kind at once. */
async function allDamaged(): Promise<Damage> {
  const { files, expected } = sealedDamaged();
  const [first = '', second = '', third = ''] = segments;
  await files.remove(second);
  files.replaceNow(third, files.readNow(third).subarray(0, 900));
  files.replaceNow(first, flipped(files.readNow(first), 10, 0xff));
  const last = segments.at(-1) as string;
  const cut = files.readNow(last).length - 20;
  files.replaceNow(last, files.readNow(last).subarray(0, cut));
  const definitions = files.paths().find((path) => path.endsWith('definitions.json')) as string;
  files.replaceNow(definitions, flipped(files.readNow(definitions), 100, 0xff));
  const lost = [
    ...within(truth, second, 0, Infinity),
    ...within(truth, third, 900, Infinity),
    ...within(truth, last, cut, Infinity),
  ];
  return { files, expected: { unreadable: new Set([...expected.unreadable, ...lost]), mayRise: true } };
}

/** The disk is gone after so many operations. Returns whether the repair came to its end before. */
async function stoppedAfter(files: SimulatedFileSystem, operations: number): Promise<boolean> {
  let done = 0;
  files.fault = (operation, path) =>
    operation !== 'read' && operation !== 'open' && ++done > operations
      ? systemError('EIO', path)
      : undefined;
  try {
    await repairJournal(files, DIRECTORY);
    return true;
  } catch {
    return false;
  } finally {
    files.fault = undefined;
  }
}

describe('nestmq repair that is stopped', () => {
  it.each<[string, () => Damage | Promise<Damage>]>([
    ['sealed segments are', sealedDamaged],
    ['all of it is', allDamaged],
  ])(
    'after any step, by a kill or by a power cut, is finished by the next one when %s damaged',
    async (_, damage) => {
      let steps = 0;
      for (let isDone = false; !isDone; steps++) {
        const { files, expected } = await damage();
        const before = files.afterKill();
        isDone = await stoppedAfter(files, steps);
        const cuts = Array.from({ length: 4 }, (_unused, i) =>
          files.afterPowerCut(seededRandom(100 * steps + i)),
        );
        for (const [i, left] of [files.afterKill(), ...cuts].entries()) {
          try {
            await repairJournal(left, DIRECTORY);
            await assertKept(truth, left, expected);
            assertQuarantined(before, left);
            expect((await repairJournal(left, DIRECTORY)).outcome).toBe('sound');
          } catch (cause) {
            throw new Error(`stopped after ${steps} steps, ${i === 0 ? 'killed' : `power cut ${i}`}`, {
              cause,
            });
          }
        }
      }
      expect(steps).toBeGreaterThan(40);
    },
    120_000,
  );
});
