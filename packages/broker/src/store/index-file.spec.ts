import { describe, expect, it } from '@jest/globals';
import { ByteWriter } from '../message/table-codec.js';
import { pick, seededRandom } from '../random.spec.support.js';
import { decodeIndex, encodeIndex, indexFileName, readIndexFile, writeIndexFile } from './index-file.js';
import { persistent } from './journal-model.spec.support.js';
import { readRecord, writeMove, writeCopy, writePublish, writeRequeue, writeSettlements } from './record.js';
import { randomMarks, randomTime } from './random-mark.spec.support.js';
import { SegmentIndex, UnknownRecordError } from './segment-index.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

const OF = { id: 0xfe_dc_ba_98, end: 123_456 };

function randomIndex(seed: number): SegmentIndex {
  const random = seededRandom(seed);
  const index = new SegmentIndex();
  for (let i = 0, sequence = 2 ** 40; i < 200; i++) {
    sequence += 1 + pick(random, 5);
    const queueIds = Array.from({ length: 1 + pick(random, 3) }, () => pick(random, 2 ** 32));
    const offset = 32 + i * 100;
    const choice = pick(random, 8);
    const record = { sequence, queueIds, marks: randomMarks(random, queueIds) };
    if (choice < 2) index.publish(sequence, offset, queueIds, record.marks);
    if (choice === 2) index.copy({ ...record, deliveryCounts: queueIds.map(() => pick(random, 3)) }, offset);
    if (choice === 3)
      index.move({ ...record, fromQueueId: 1, fromSequence: 7, bodyPosition: 2 ** 45 + i }, offset);
    if (choice === 7) index.requeue({ queueId: 2, sequence, deliveryCount: i, readyAt: randomTime(random) });
    if (choice === 4) index.settle(pick(random, 9), sequence);
    if (choice === 5) index.discard({ queueId: 3, through: sequence, kept: [sequence - 1] });
    if (choice === 6) index.define({ sequence, key: `k${i} ä`, value: { i } });
  }
  return index;
}

/** All that is in it, as plain values. */
function contents(index: SegmentIndex): unknown {
  return Object.fromEntries(
    Object.entries(index).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'object' && value !== null && 'values' in value && !Array.isArray(value)
        ? [...(value as { values: () => Iterable<number> }).values()]
        : value,
    ]),
  );
}

describe('J9 the index of a segment', () => {
  it('is read back as it was written', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const index = randomIndex(seed);
      const read = decodeIndex(encodeIndex(index, OF), OF);
      if (read === undefined) throw new Error(`seed ${seed} does not read`);
      expect({ seed, read: contents(read) }).toEqual({ seed, read: contents(index) });
    }
  });

  it('is not used when a byte is changed, when it is cut, or when it was made for another segment', () => {
    const bytes = encodeIndex(randomIndex(1), OF);
    expect(decodeIndex(bytes, OF)).toBeDefined();
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x10;
      if (decodeIndex(changed, OF) !== undefined) throw new Error(`byte ${at} changed, and it was used`);
      if (decodeIndex(bytes.subarray(0, at), OF) !== undefined)
        throw new Error(`cut to ${at}, and it was used`);
    }
    expect(decodeIndex(bytes, { ...OF, end: OF.end + 1 })).toBeUndefined();
    expect(decodeIndex(bytes, { ...OF, id: OF.id - 1 })).toBeUndefined();
  });

  it('takes the place of one that is there, and is missing where there is none', async () => {
    const disk = new SimulatedFileSystem();
    await disk.makeDirectory('/j');
    expect(await readIndexFile(disk, '/j', 7, OF)).toBeUndefined();
    for (const seed of [1, 2]) {
      const index = randomIndex(seed);
      await writeIndexFile(disk, '/j', { number: 7, index, of: OF });
      const read = await readIndexFile(disk, '/j', 7, OF);
      expect(read && contents(read)).toEqual(contents(index));
    }
    expect(disk.paths()).toEqual([`/j/${indexFileName(7)}`]);
  });

  it('made from the records is the one made while they were written', () => {
    const written = new SegmentIndex();
    const read = new SegmentIndex();
    const out = new ByteWriter();
    const marks = [undefined, { expiresAt: 2 ** 50, readyAt: 0, priority: 255 }];
    const move = { sequence: 2, fromQueueId: 1, fromSequence: 1, bodyPosition: 60, queueIds: [4, 5], marks };
    writePublish(out, 1, [1, 2], persistent('a'), marks);
    written.publish(1, 0, [1, 2], marks);
    const moved = out.end;
    writeMove(out, { ...move, message: persistent('a'), body: undefined });
    written.move(move, moved);
    for (const readyAt of [0, 2 ** 51]) {
      const requeue = { queueId: 2, sequence: 1, deliveryCount: 9, readyAt };
      writeRequeue(out, requeue);
      written.requeue(requeue);
    }
    const copied = out.end;
    const copy = { sequence: 1, queueIds: [1, 2], marks, deliveryCounts: [3, 9] };
    writeCopy(out, { ...copy, message: persistent('a') });
    written.copy(copy, copied);
    writeSettlements(out, [2], [1]);
    written.settle(2, 1);
    for (let at = 0; at < out.end;) {
      const check = readRecord(out.buffer.subarray(0, out.end), at);
      if (!check.ok) throw new Error(check.why);
      read.add(check.record, at);
      at += check.record.length;
    }
    expect(contents(read)).toEqual(contents(written));
  });

  it('says of a record that it does not know that it does not', () => {
    const record = Buffer.alloc(12);
    const add = (): void =>
      new SegmentIndex().add(
        { type: 99, length: 12, payload: { buffer: record, at: 12, end: 12 } as never },
        0,
      );
    expect(add).toThrow(UnknownRecordError);
  });
});
