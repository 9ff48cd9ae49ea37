import { beforeAll, describe, expect, it } from '@jest/globals';
import { pick, pickOne, seededRandom } from '../random.spec.support.js';
import { JOURNAL } from '../store/journal-model.spec.support.js';
import type { SimulatedFileSystem } from '../store/simulated-file-system.js';
import { repairJournal } from './repair.js';
import {
  type Expected,
  type Piece,
  repaired,
  type Truth,
  truthOf,
  within,
} from './repaired-journal.spec.support.js';
import {
  changed,
  compactedJournal,
  DIRECTORY,
  flipped,
  indexOf,
  segmentsOf,
  wholeJournal,
} from './whole-journal.spec.support.js';

let truth: Truth;
let segments: string[];
let lastSegment: string;

beforeAll(async () => {
  const { files, model } = await wholeJournal();
  truth = truthOf(files, model);
  segments = segmentsOf(files);
  lastSegment = segments.at(-1) as string;
});

/** Bytes of a record whose change does different things to a reader: of length, checksum, type and payload. */
function bytesIn({ start, end }: Piece): number[] {
  return [...new Set([start + 1, start + 3, start + 5, start + 8, start + 9, (start + end) >> 1, end - 1])];
}

describe('nestmq repair', () => {
  it('finds nothing to do in a whole journal', async () => {
    const files = truth.whole.afterKill();
    expect(await repairJournal(files, DIRECTORY)).toMatchObject({ outcome: 'sound', changedFiles: [] });
    expect(files.paths()).toEqual(truth.whole.paths());
  });

  it('changes nothing that is not confirmed, and tells the plan', async () => {
    const path = segments[1] as string;
    const files = await changed(truth.whole, path, flipped(truth.whole.readNow(path), 200, 0xff));
    const before = files.afterKill();
    const report = await repairJournal(files, DIRECTORY, { confirm: () => false });
    expect(report.outcome).toBe('planned');
    expect(report.changedFiles).toContain(path.slice(JOURNAL.length + 1));
    expect(files.paths()).toEqual(before.paths());
    for (const one of files.paths()) expect(files.readNow(one)).toEqual(before.readNow(one));
  });

  it.each([
    ['its index', true],
    ['no index', false],
  ])(
    'keeps all but the record with a damaged byte, of a segment with %s',
    async (_, indexed) => {
      const { whole, pieces } = truth;
      let [cases, lost] = [0, 0];
      for (const piece of pieces) {
        const { path, position, type } = piece;
        if (indexed && path === lastSegment) continue;
        for (const at of bytesIn(piece)) {
          try {
            const without = indexed ? [] : [indexOf(path)];
            const files = await changed(whole, path, flipped(whole.readNow(path), at, 0xff), ...without);
            const expected = { unreadable: new Set([position]), mayRise: !indexed };
            lost += (await repaired(truth, files, expected)).lost;
            cases++;
          } catch (cause) {
            throw new Error(`${path}, byte ${at} of the record of type ${type} at ${piece.start}`, { cause });
          }
        }
      }
      expect(cases).toBeGreaterThan(300);
      expect(lost).toBeGreaterThan(20);
    },
    120_000,
  );

  it('keeps all records of a segment whose header is damaged at any byte', async () => {
    for (const path of segments) {
      for (let at = 0; at < 32; at++) {
        const files = await changed(truth.whole, path, flipped(truth.whole.readNow(path), at, 0xff));
        const { report } = await repaired(truth, files, { unreadable: new Set(), mayRise: false });
        expect(report.lost).toEqual([]);
      }
    }
  }, 60_000);

  it('keeps what is left of a segment that was cut', async () => {
    let cases = 0;
    for (const path of segments) {
      const bytes = truth.whole.readNow(path);
      for (let size = 0; size < bytes.length; size += 7) {
        const files = await changed(truth.whole, path, bytes.subarray(0, size));
        const unreadable = new Set(within(truth, path, size, bytes.length));
        await repaired(truth, files, { unreadable, mayRise: path === lastSegment });
        cases++;
      }
    }
    expect(cases).toBeGreaterThan(500);
  }, 120_000);

  it('keeps all of a segment that has more bytes than it had', async () => {
    for (const path of segments.slice(0, -1)) {
      const longer = Buffer.concat([truth.whole.readNow(path), Buffer.alloc(50, 7)]);
      const files = await changed(truth.whole, path, longer);
      expect(await repaired(truth, files, { unreadable: new Set(), mayRise: false })).toMatchObject({
        lost: 0,
      });
    }
  });

  it.each([
    ['and its index is there', true],
    ['and so is its index', false],
  ])('goes on without a segment that is missing, %s', async (_, indexed) => {
    for (const path of segments) {
      const without = indexed ? [path] : [path, indexOf(path)];
      const files = await changed(truth.whole, path, Buffer.alloc(0), ...without);
      const unreadable = new Set(within(truth, path, 0, Infinity));
      const mayRise = !indexed || path === lastSegment;
      const { report } = await repaired(truth, files, { unreadable, mayRise });
      expect(report.problems).toContainEqual(expect.objectContaining({ why: 'it is missing' }));
    }
  });

  it('goes on when all segments are missing but one, or all', async () => {
    for (const kept of [...segments, undefined]) {
      const files = truth.whole.afterKill();
      const unreadable = new Set<number>();
      for (const path of segments.filter((one) => one !== kept)) {
        await files.remove(path);
        for (const position of within(truth, path, 0, Infinity)) unreadable.add(position);
      }
      expect(await repaired(truth, files, { unreadable, mayRise: true })).toMatchObject({
        report: { mayComeAgain: true },
      });
    }
  });

  it('goes on with one segment under the name of another', async () => {
    const [first = '', second = ''] = segments.slice(-3);
    const files = await changed(truth.whole, second, truth.whole.readNow(first));
    const unreadable = new Set(within(truth, second, 0, Infinity));
    const { report } = await repaired(truth, files, { unreadable, mayRise: false });
    expect(report.problems[0]?.why).toContain('its header says it is segment');
  });

  it('removes an index that says what the records do not, and keeps all', async () => {
    const [path = ''] = segments;
    const files = truth.whole.afterKill();
    const other = Buffer.from(truth.whole.readNow(indexOf(path)));
    // One message less, and the checksum made right again.
    other.writeDoubleLE(other.readDoubleLE(96) + 1, 96);
    const { crc32 } = await import('node:zlib');
    other.writeUInt32LE(crc32(other.subarray(0, -4)), other.length - 4);
    files.replaceNow(indexOf(path), other);
    const { report } = await repaired(truth, files, { unreadable: new Set(), mayRise: false });
    expect(report.changedFiles).toContain(indexOf(path).slice(JOURNAL.length + 1));
  });

  it.each([
    ['a journal', wholeJournal],
    ['one that was compacted', compactedJournal],
  ])(
    'keeps what reads when many ranges of %s are overwritten',
    async (_, make) => {
      const { files: whole, model } = await make();
      const made = truthOf(whole, model);
      let lost = 0;
      for (let seed = 1; seed <= 100; seed++) {
        const { files, expected } = overwritten(made, seededRandom(seed));
        try {
          lost += (await repaired(made, files, expected)).lost;
        } catch (cause) {
          throw new Error(`seed ${seed}`, { cause });
        }
      }
      expect(lost).toBeGreaterThan(100);
    },
    60_000,
  );
});

/** Up to six ranges, of zeros and of noise. */
function overwritten(
  { whole, pieces }: Truth,
  random: () => number,
): { files: SimulatedFileSystem; expected: Expected } {
  const files = whole.afterKill();
  const paths = segmentsOf(whole);
  const unreadable = new Set<number>();
  let mayRise = false;
  for (let i = pick(random, 6); i >= 0; i--) {
    const path = pickOne(random, paths);
    const bytes = files.readNow(path);
    const from = pick(random, bytes.length);
    const to = Math.min(bytes.length, from + 1 + pick(random, 300));
    for (let at = from; at < to; at++) bytes[at] = random() < 0.5 ? 0 : pick(random, 256);
    files.replaceNow(path, bytes);
    for (const position of within({ pieces }, path, from, to)) unreadable.add(position);
    mayRise ||= path === paths.at(-1);
  }
  return { files, expected: { unreadable, mayRise } };
}
