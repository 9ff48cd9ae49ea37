import { beforeAll, describe, expect, it } from '@jest/globals';
import { crc32 } from 'node:zlib';
import type { FileSystem } from '../store/file-system.js';
import { diskWith } from '../store/planted-faults.spec.support.js';
import { type SimulatedFileSystem, systemError } from '../store/simulated-file-system.js';
import { checkJournal } from './check.js';
import { repairJournal } from './repair.js';
import {
  assertKept,
  assertQuarantined,
  type Truth,
  truthOf,
  within,
} from './repaired-journal.spec.support.js';
import { changed, DIRECTORY, segmentsOf, wholeJournal } from './whole-journal.spec.support.js';

let truth: Truth;
let path: string;

beforeAll(async () => {
  const { files, model } = await wholeJournal();
  truth = truthOf(files, model);
  path = segmentsOf(files)[1] as string;
});

/** A disk that can't read a file. */
function withBadFile(disk: SimulatedFileSystem): FileSystem {
  return diskWith(disk, {
    async open(opened, mode) {
      const file = await disk.open(opened, mode);
      if (opened !== path) return file;
      return {
        write: (bytes, position) => file.write(bytes, position),
        writeDurably: (bytes, position) => file.writeDurably(bytes, position),
        read: () => Promise.reject(systemError('EIO', path)),
        sync: () => file.sync(),
        size: () => file.size(),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      };
    },
  });
}

describe('on a disk that can not read a block', () => {
  it('check says what is lost, and repair keeps the rest', async () => {
    const files = truth.whole.afterKill();
    const disk = withBadFile(files);
    const { length } = files.readNow(path);
    const report = await checkJournal(disk, DIRECTORY);
    expect(report).toMatchObject({ verdict: 'damaged' });
    expect(report.problems).toContainEqual(expect.objectContaining({ offset: 0, length }));
    await repairJournal(disk, DIRECTORY).catch(() => {});
    // The disk can read it again: what it had not read is in quarantine.
    await assertKept(truth, files, { unreadable: new Set(within(truth, path, 0, length)), mayRise: false });
    assertQuarantined(truth.whole, files);
  });
});

describe('on a disk without second names for files', () => {
  it('repair copies the originals', async () => {
    const bytes = truth.whole.readNow(path).fill(0, 400, 500);
    const files = await changed(truth.whole, path, bytes);
    const before = files.afterKill();
    const link = (from: string): Promise<void> => Promise.reject(systemError('EPERM', from));
    const report = await repairJournal(diskWith(files, { link }), DIRECTORY);
    expect(report.outcome).toBe('repaired');
    assertQuarantined(before, files);
  });
});

describe('a journal of a newer release', () => {
  it('is not taken for a damaged one, and is not touched', async () => {
    const bytes = truth.whole.readNow(path);
    bytes.writeUInt16BE(4, 4);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 28)), 28);
    const files = await changed(truth.whole, path, bytes);
    await expect(checkJournal(files, DIRECTORY)).rejects.toMatchObject({ code: 'JOURNAL_VERSION' });
    await expect(repairJournal(files, DIRECTORY)).rejects.toMatchObject({ code: 'JOURNAL_VERSION' });
    expect(files.paths()).toEqual(truth.whole.paths());
  });

  it('nor is one with a record of an unknown type', async () => {
    const record = Buffer.alloc(12);
    record.writeUInt32BE(12, 0);
    record[8] = 99;
    record.writeUInt32BE(crc32(record.subarray(8), 12), 4);
    const last = segmentsOf(truth.whole).at(-1) as string;
    const files = await changed(truth.whole, last, Buffer.concat([truth.whole.readNow(last), record]));
    await expect(checkJournal(files, DIRECTORY)).rejects.toMatchObject({ code: 'JOURNAL_VERSION' });
    await expect(repairJournal(files, DIRECTORY)).rejects.toMatchObject({ code: 'JOURNAL_VERSION' });
  });
});
