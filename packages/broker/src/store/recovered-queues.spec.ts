import { describe, expect, it } from '@jest/globals';
import { pick, pickOne, seededRandom } from '../random.spec.support.js';
import { rowsOf } from './journal-model.spec.support.js';
import { positionOf } from './record.js';
import { RecoveredQueues } from './recovered-queues.js';
import { SegmentIndex } from './segment-index.js';

interface Entry {
  sequence: number;
  position: number;
  deliveryCount: number;
}

const QUEUES = [1, 2, 3];

/** Segments with random records, and what must be in the queues after them: one object a message. */
function randomJournal(seed: number): { indexes: SegmentIndex[]; model: Map<number, Entry[]> } {
  const random = seededRandom(seed);
  const model = new Map(QUEUES.map((id) => [id, [] as Entry[]]));
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
        index.publish(++sequence, offset, ids);
        for (const to of ids) model.get(to)?.push({ sequence, position, deliveryCount: 0 });
      } else if (choice < 0.8) {
        index.settle(id, one.sequence);
        queue.splice(queue.indexOf(one), 1);
      } else if (choice < 0.88) {
        one.deliveryCount++;
        index.requeue(id, one.sequence, one.deliveryCount);
      } else if (choice < 0.95) {
        index.copy(one.sequence, offset, [id], [one.deliveryCount]);
        one.position = position;
      } else if (choice < 0.97) {
        const kept = queue.filter(() => random() < 0.4);
        index.discard({ queueId: id, through: sequence, kept: kept.map((entry) => entry.sequence) });
        model.set(id, kept);
      } else {
        const to = pickOne(random, QUEUES);
        const body = { fromQueueId: id, fromSequence: one.sequence, bodyPosition: one.position };
        index.move(++sequence, offset, [to], body);
        queue.splice(queue.indexOf(one), 1);
        model.get(to)?.push({ sequence, position, deliveryCount: 0 });
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
    index.requeue(1, 4, 2);
    index.discard({ queueId: 2, through: 9, kept: [] });
    const queues = new RecoveredQueues();
    queues.add(3, index);
    expect([...queues.finish()]).toEqual([]);
  });
});
