import { describe, expect, it } from '@jest/globals';
import { pick, pickOne, seededRandom } from '../random.spec.support.js';
import { rowsOf } from './journal-model.spec.support.js';
import type { QueueMark } from './message-store.js';
import { randomMarks, randomTime, UNMARKED } from './random-mark.spec.support.js';
import { positionOf } from './record.js';
import { RecoveredQueues } from './recovered-queues.js';
import { SegmentIndex } from './segment-index.js';

interface Entry {
  sequence: number;
  position: number;
  deliveryCount: number;
  mark: QueueMark;
}

const QUEUES = [1, 2, 3];

/** Segments with random records, and what must be in the queues after them: one object a message. */
function randomJournal(seed: number): { indexes: SegmentIndex[]; model: Map<number, Entry[]> } {
  const random = seededRandom(seed);
  const model = new Map(QUEUES.map((id) => [id, [] as Entry[]]));
  const add = (queueId: number, one: Omit<Entry, 'deliveryCount'>): void => {
    model.get(queueId)?.push({ ...one, deliveryCount: 0 });
  };
  const indexes: SegmentIndex[] = [];
  let sequence = 0;
  for (let number = 1; number <= 6; number++) {
    const index = new SegmentIndex();
    indexes.push(index);
    for (let offset = 32; offset < 32 + 200 * 50; offset += 50) {
      const id = pickOne(random, QUEUES);
      const queue = model.get(id) as Entry[];
      const one = queue[pick(random, queue.length + 1)];
      const position = positionOf(number, offset);
      const choice = random();
      if (choice < 0.5 || one === undefined) {
        const ids = QUEUES.filter(() => random() < 0.5);
        const marks = randomMarks(random, ids);
        index.publish(++sequence, offset, ids, marks);
        for (const [i, to] of ids.entries()) add(to, { sequence, position, mark: marks?.[i] ?? UNMARKED });
      } else if (choice < 0.8) {
        index.settle(id, one.sequence);
        queue.splice(queue.indexOf(one), 1);
      } else if (choice < 0.88) {
        // A message that is given back before it was tried is not counted, but may have to wait.
        if (random() < 0.7) one.deliveryCount++;
        one.mark = { ...one.mark, readyAt: randomTime(random) };
        const { deliveryCount, mark } = one;
        index.requeue({ queueId: id, sequence: one.sequence, deliveryCount, readyAt: mark.readyAt });
      } else if (choice < 0.95) {
        const { deliveryCount, mark } = one;
        index.copy(
          { sequence: one.sequence, queueIds: [id], marks: [mark], deliveryCounts: [deliveryCount] },
          offset,
        );
        one.position = position;
      } else if (choice < 0.97) {
        const kept = queue.filter(() => random() < 0.4);
        index.discard({ queueId: id, through: sequence, kept: kept.map((entry) => entry.sequence) });
        model.set(id, kept);
      } else {
        const to = pickOne(random, QUEUES);
        const from = { fromQueueId: id, fromSequence: one.sequence, bodyPosition: one.position };
        const marks = randomMarks(random, [to]);
        index.move({ ...from, sequence: ++sequence, queueIds: [to], marks }, offset);
        queue.splice(queue.indexOf(one), 1);
        add(to, { sequence, position, mark: marks?.[0] ?? UNMARKED });
      }
    }
  }
  return { indexes, model };
}

describe('J3 what the indexes of segments make of the queues', () => {
  it('is what happened, message by message and in order, whatever was copied, settled, moved or discarded', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const { indexes, model } = randomJournal(seed);
      const queues = new RecoveredQueues();
      for (const [i, index] of indexes.entries()) queues.add(i + 1, index);
      const found = queues.finish();
      for (const [id, entries] of model) {
        expect({ seed, id, entries: rowsOf(found.get(id)) }).toEqual({ seed, id, entries });
      }
    }
  });

  it('of settlements whose messages are gone is nothing', () => {
    const index = new SegmentIndex();
    index.settle(1, 5);
    index.requeue({ queueId: 1, sequence: 4, deliveryCount: 2, readyAt: 9 });
    index.discard({ queueId: 2, through: 9, kept: [] });
    const queues = new RecoveredQueues();
    queues.add(3, index);
    expect([...queues.finish()]).toEqual([]);
  });

  it('has columns of marks only where a message has something in them', () => {
    const index = new SegmentIndex();
    index.publish(1, 40, [1, 2, 3], [undefined, { ...UNMARKED, priority: 4 }, { ...UNMARKED, readyAt: 7 }]);
    index.requeue({ queueId: 3, sequence: 1, deliveryCount: 0, readyAt: 0 });
    const queues = new RecoveredQueues();
    queues.add(1, index);
    const found = queues.finish();
    const columns = [1, 2, 3].map((id) => Object.keys(found.get(id) ?? {}).slice(4));
    expect(columns).toEqual([[], ['priorities'], []]);
  });
});
