import { beforeAll, describe, expect, it } from '@jest/globals';
import { crc32 } from 'node:zlib';
import { BrokerError } from '../errors.js';
import { ByteWriter } from '../message/table-codec.js';
import { seededRandom } from '../random.spec.support.js';
import { actInGroups } from './journal-history.spec.support.js';
import {
  durable,
  JOURNAL,
  JournalModel,
  journalOn,
  persistent,
  rowsOf,
  seededKeys,
} from './journal-model.spec.support.js';
import {
  COMMIT_RECORD_BYTES,
  offsetOf,
  type Position,
  positionOf,
  readRecord,
  RECORD_TYPE,
  writeCommit,
  writePublish,
} from './record.js';
import { randomSegmentKey } from './segment.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

const MARK = `${JOURNAL}/durable`;
const SNAPSHOT = `${JOURNAL}/definitions.json`;

/** A journal that was closed well, and what it holds. */
let whole: SimulatedFileSystem;
let model: JournalModel;
let segments: string[];
let lastSegment: string;

beforeAll(async () => {
  whole = new SimulatedFileSystem();
  const store = journalOn(whole, { segmentBytesMax: 2048 });
  await store.open();
  model = new JournalModel(store);
  await actInGroups(store, model, seededRandom(3), { groups: 60, bodyBytesMax: 60 });
  await store.close();
  segments = whole.paths().filter((path) => path.endsWith('.segment'));
  lastSegment = segments.at(-1) ?? '';
});

type Outcome = 'whole' | 'refused' | 'refused when read';

/**
 * Opens what is left of the journal and reads all that is in it. Throws when anything is missing or wrong that is not
 * said to be damaged.
 */
async function openDamaged(files: SimulatedFileSystem): Promise<Outcome> {
  const store = journalOn(files);
  let recovered;
  try {
    recovered = await store.open();
  } catch (error) {
    if (error instanceof BrokerError) return 'refused';
    throw error;
  }
  try {
    await model.check(store, recovered, { durable: Infinity, begun: Infinity });
  } catch (error) {
    if (error instanceof BrokerError && error.code === 'JOURNAL_DAMAGED') return 'refused when read';
    throw error;
  } finally {
    await store.close();
  }
  return 'whole';
}

/** The files with other bytes in one of them; without its segment's index, so that the records are read, and without `without`. */
async function withBytes(path: string, bytes: Buffer, without?: string): Promise<SimulatedFileSystem> {
  const files = whole.afterKill();
  files.replaceNow(path, bytes);
  for (const gone of [path.replace('.segment', '.index'), without]) {
    if (gone !== undefined && gone !== path && files.paths().includes(gone)) await files.remove(gone);
  }
  return files;
}

function flipped(path: string, at: number, pattern: number): Buffer {
  const bytes = whole.readNow(path);
  bytes[at] = (bytes[at] as number) ^ pattern;
  return bytes;
}

/** Where the commits of a segment start, found by the bytes of their headers. */
function commitOffsets(path: string): number[] {
  const bytes = whole.readNow(path);
  const offsets: number[] = [];
  for (let at = 32; at < bytes.length; at += bytes.readUInt32BE(at)) {
    if (bytes[at + 8] === 1) offsets.push(at);
  }
  return offsets;
}

describe('J4 damage', () => {
  it('the journal to be damaged has several segments, messages in it, and a snapshot', async () => {
    expect(segments.length).toBeGreaterThanOrEqual(2);
    expect(whole.paths()).toContain(SNAPSHOT);
    expect(model.live().length).toBeGreaterThan(10);
    expect(await openDamaged(whole.afterKill())).toBe('whole');
  });

  it('a segment cut at any byte is refused, and the error names the file, the offset and a cure', async () => {
    let cases = 0;
    for (const path of segments) {
      const bytes = whole.readNow(path);
      for (let size = 0; size < bytes.length; size++) {
        const error = await journalOn(await withBytes(path, bytes.subarray(0, size)))
          .open()
          .catch((reason: unknown) => reason);
        if (!(error instanceof BrokerError)) throw new Error(`${path} cut to ${size} bytes was opened`);
        if (error.code !== 'JOURNAL_DAMAGED' || !/ at offset \d+: /.test(error.message)) throw error;
        if (!error.message.startsWith(path) || !error.cure?.includes('backup')) throw error;
        cases++;
      }
    }
    expect(cases).toBe(segments.reduce((sum, path) => sum + whole.readNow(path).length, 0));
    expect(cases).toBeGreaterThan(3000);
  }, 60_000);

  it.each([0xff, 0x01])(
    'any byte of any file changed by ^%i is refused or does no harm',
    async (pattern) => {
      const counts = { whole: 0, refused: 0, 'refused when read': 0 };
      let notNeeded = 0;
      for (const path of whole.paths()) {
        const { length } = whole.readNow(path);
        for (let at = 0; at < length; at++) {
          try {
            const outcome = await openDamaged(await withBytes(path, flipped(path, at, pattern)));
            // Only the mark, and what can be made anew from the records, can be done without.
            const spare = path === MARK || path.endsWith('.index');
            if (outcome === 'whole' && !spare) throw new Error('the damage was not noticed');
            if (spare) notNeeded++;
            counts[outcome]++;
          } catch (cause) {
            throw new Error(`${path}, byte ${at} changed`, { cause });
          }
        }
      }
      expect(counts.whole).toBe(notNeeded);
      expect(counts.refused).toBeGreaterThan(3000);
    },
    60_000,
  );

  it('any byte changed in a sealed segment whose index is there is harmless, or said when it is read', async () => {
    const counts = { whole: 0, refused: 0, 'refused when read': 0 };
    for (const path of segments.filter((one) => one !== lastSegment)) {
      const { length } = whole.readNow(path);
      for (let at = 32; at < length; at++) {
        const files = whole.afterKill();
        files.replaceNow(path, flipped(path, at, 0xff));
        counts[await openDamaged(files)]++;
      }
    }
    expect(counts.refused).toBe(0);
    expect(counts['refused when read']).toBeGreaterThan(500);
    expect(counts.whole).toBeGreaterThan(500);
  }, 60_000);

  it('without the mark, any byte changed before the last commit is refused', async () => {
    const lastCommit = commitOffsets(lastSegment).at(-1) ?? 0;
    let cases = 0;
    for (const path of segments) {
      const end = path === lastSegment ? lastCommit : whole.readNow(path).length;
      for (let at = 0; at < end; at++) {
        const files = await withBytes(path, flipped(path, at, 0xff), MARK);
        const outcome = await openDamaged(files).catch(() => 'opened with something missing');
        if (outcome !== 'refused') throw new Error(`${path}, byte ${at} changed: ${outcome}`);
        cases++;
      }
    }
    expect(cases).toBeGreaterThan(3000);
  }, 60_000);

  it('a mark that is cut at any byte does no harm', async () => {
    const bytes = whole.readNow(MARK);
    for (let size = 0; size < bytes.length; size++) {
      expect(await openDamaged(await withBytes(MARK, bytes.subarray(0, size)))).toBe('whole');
    }
    expect(bytes.length).toBe(532);
  });

  it('a snapshot of the definitions cut at any byte is refused or does no harm', async () => {
    const bytes = whole.readNow(SNAPSHOT);
    for (let size = 0; size < bytes.length - 1; size++) {
      expect(await openDamaged(await withBytes(SNAPSHOT, bytes.subarray(0, size)))).toBe('refused');
    }
    expect(bytes.length).toBeGreaterThan(100);
  });
});

describe('a format that this release does not know', () => {
  it('of a segment is refused as such, not as damage', async () => {
    const bytes = whole.readNow(lastSegment);
    bytes.writeUInt16BE(4, 4);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 28)), 28);
    await expect(journalOn(await withBytes(lastSegment, bytes)).open()).rejects.toMatchObject({
      code: 'JOURNAL_VERSION',
      message: `${lastSegment} has format version 4; this release reads version 3. Use the release of nestmq that wrote it; nothing was changed.`,
    });
  });

  it('of a record is refused as such', async () => {
    const bytes = whole.readNow(lastSegment);
    const record = Buffer.alloc(12);
    record.writeUInt32BE(12, 0);
    record[8] = 99;
    record.writeUInt32BE(crc32(record.subarray(8), 12), 4);
    await expect(
      journalOn(await withBytes(lastSegment, Buffer.concat([bytes, record]))).open(),
    ).rejects.toMatchObject({
      code: 'JOURNAL_VERSION',
      message: expect.stringContaining('a record of the unknown type 99'),
    });
  });

  it('of the definitions is refused as such', async () => {
    const { through, definitions } = JSON.parse(whole.readNow(SNAPSHOT).toString()) as Record<
      string,
      unknown
    >;
    const sum = crc32(`4 ${String(through)} ${JSON.stringify(definitions)}`);
    const text = whole
      .readNow(SNAPSHOT)
      .toString()
      .replace('"version":3', '"version":4')
      .replace(/"crc32":\d+/, `"crc32":${sum}`);
    await expect(journalOn(await withBytes(SNAPSHOT, Buffer.from(text))).open()).rejects.toMatchObject({
      code: 'JOURNAL_VERSION',
    });
  });
});

describe('a segment that is missing', () => {
  it('is noticed, the first and the last one as well', async () => {
    let cases = 0;
    for (const path of segments) {
      const files = whole.afterKill();
      await files.remove(path);
      await expect(journalOn(files).open()).rejects.toThrow(`${path} is missing. Put the file back.`);
      cases++;
    }
    expect(cases).toBeGreaterThanOrEqual(2);
  });
});

describe('a torn tail', () => {
  const PATH = `${JOURNAL}/0000000001.segment`;

  /** A journal whose last commit holds such a body; of the commit's own record a power cut has left something else. */
  async function tornBefore(body: (at: Position) => Buffer): Promise<SimulatedFileSystem> {
    const files = new SimulatedFileSystem();
    const store = journalOn(files);
    await store.open();
    store.publish(persistent('kept'), [1], 0);
    await durable(store);
    const [kept, end] = [files.readNow(MARK), files.readNow(PATH).length];
    // The commit's record, then the message's: what is before its body is as long as in any message of this kind.
    const before = COMMIT_RECORD_BYTES + bytesBefore('body');
    store.publish(persistent(body(positionOf(1, end + before))), [1], 0);
    await store.close();
    files.replaceNow(MARK, kept);
    const bytes = files.readNow(PATH);
    bytes.fill(0, end, end + 8);
    files.replaceNow(PATH, bytes);
    return files;
  }

  function bytesBefore(body: string): number {
    const out = new ByteWriter();
    writePublish(out, 1, [1], persistent(body));
    return out.end - Buffer.byteLength(body);
  }

  /** A commit that says that all before it was durable, with room behind it. */
  function commitAt(position: Position, key: number): Buffer {
    const out = new ByteWriter();
    writeCommit(out, { position, durableUpTo: position, key });
    return Buffer.concat([out.buffer.subarray(0, out.end), Buffer.alloc(20)]);
  }

  async function bodiesFound(files: SimulatedFileSystem): Promise<string[]> {
    const store = journalOn(files);
    const rows = rowsOf((await store.open()).entries.get(1));
    const messages = await store.read(rows.map(({ position }) => position));
    await store.close();
    return messages.map(({ body }) => body.toString());
  }

  it('is cut off though a body in it is a commit of another place', async () => {
    const key = seededKeys(1)();
    expect(await bodiesFound(await tornBefore((at) => commitAt(at + 2 ** 40, key)))).toEqual(['kept']);
  });

  it('is cut off though a body in it forges a commit of its place, by who does not know the key', async () => {
    const forged: number[] = [];
    const files = await tornBefore((at) => {
      forged.push(offsetOf(at));
      return commitAt(at, 0x1234_5678);
    });
    const check = readRecord(files.readNow(PATH), forged[0] as number);
    expect(check).toMatchObject({ ok: true, record: { type: RECORD_TYPE.commit } });
    expect(await bodiesFound(files)).toEqual(['kept']);
  });

  it('would be taken for damage if the key were known: so it must not be to be guessed', async () => {
    const key = seededKeys(1)();
    const files = await tornBefore((at) => commitAt(at, key));
    await expect(journalOn(files).open()).rejects.toMatchObject({ code: 'JOURNAL_DAMAGED' });
    const keys = new Set(Array.from({ length: 100 }, randomSegmentKey));
    expect(keys.size).toBe(100);
    expect(Math.max(...keys)).toBeGreaterThan(2 ** 46);
    expect(Math.max(...keys)).toBeLessThan(2 ** 48);
  });
});
