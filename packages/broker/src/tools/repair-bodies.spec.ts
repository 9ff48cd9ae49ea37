import { describe, expect, it } from '@jest/globals';
import { ByteWriter } from '../message/table-codec.js';
import { durable, JournalModel, journalOn, persistent } from '../store/journal-model.spec.support.js';
import { positionOf, RECORD_TYPE, writeCommit, writePublish, writeSettlements } from '../store/record.js';
import { SimulatedFileSystem } from '../store/simulated-file-system.js';
import { repaired, type Truth, truthOf } from './repaired-journal.spec.support.js';
import { changed, flipped, indexOf } from './whole-journal.spec.support.js';

/** Bytes as of a journal: a message that was never published, and settlements of all that is in the queue. */
function lookalikes(): Buffer {
  const out = new ByteWriter();
  writeCommit(out, { position: positionOf(1, 32), durableUpTo: positionOf(1, 32), key: 0 });
  writePublish(out, 1, [1], persistent('never published'));
  writePublish(out, 2, [1], persistent('nor this'));
  writeSettlements(
    out,
    Array(40).fill(1),
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  return Buffer.from(out.buffer.subarray(0, out.end));
}

/** Messages with such bodies, between others, in a sealed segment and in one that is written to. */
async function journalWithLookalikes(): Promise<Truth> {
  const files = new SimulatedFileSystem();
  const store = journalOn(files, { segmentBytesMax: 4096 });
  await store.open();
  const model = new JournalModel(store);
  model.define('["queue","/","one"]', { id: 1, autoDelete: false });
  for (let i = 0; i < 6; i++) {
    model.publish(persistent(`before ${i}`), [1]);
    model.publish(persistent(lookalikes()), [1]);
    await durable(store);
    model.publish(persistent(Buffer.concat([lookalikes(), Buffer.alloc(9)])), [1]);
    model.publish(persistent(`after ${i}`), [1]);
    await durable(store);
  }
  await store.close();
  return truthOf(files, model);
}

describe('bodies that look like records', () => {
  it.each([
    ['with an index', true],
    ['without an index', false],
  ])(
    'are not taken for records when theirs is damaged, %s',
    async (_, indexed) => {
      const truth = await journalWithLookalikes();
      const { whole, pieces } = truth;
      expect(whole.paths().some((path) => path.endsWith('.index'))).toBe(true);
      let cases = 0;
      for (const { path, type, start, position } of pieces) {
        if (type !== RECORD_TYPE.publish || (indexed && !whole.paths().includes(indexOf(path)))) continue;
        for (let at = start; at < start + 60; at++) {
          try {
            const without = indexed ? [] : [indexOf(path)];
            const files = await changed(whole, path, flipped(whole.readNow(path), at, 0x55), ...without);
            await repaired(truth, files, {
              unreadable: new Set([position]),
              mayRise: false,
              untold: !indexed,
            });
            cases++;
          } catch (cause) {
            throw new Error(`${path}, byte ${at} of the record at ${start}`, { cause });
          }
        }
      }
      expect(cases).toBeGreaterThan(400);
    },
    60_000,
  );

  it.each([12, 40, 90, 120])(
    'are not taken for records when %i bytes of theirs are overwritten, without an index',
    async (count) => {
      const truth = await journalWithLookalikes();
      const { whole, pieces } = truth;
      let cases = 0;
      for (const { path, type, start, end, position } of pieces) {
        if (type !== RECORD_TYPE.publish || end - start < count) continue;
        const bytes = whole.readNow(path).fill(0xa5, start, start + count);
        const files = await changed(whole, path, bytes, indexOf(path));
        const expected = { unreadable: new Set([position]), mayRise: false, untold: true };
        try {
          expect(await repaired(truth, files, expected)).toMatchObject({ lost: 1 });
        } catch (cause) {
          throw new Error(`${path}, the record at ${start}`, { cause });
        }
        cases++;
      }
      expect(cases).toBeGreaterThanOrEqual(10);
    },
  );
});
