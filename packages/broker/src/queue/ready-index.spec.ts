import { describe, expect, it } from '@jest/globals';
import { pick, seededRandom } from '../random.spec.support.js';
import { NO_MARK } from './entry-mark.js';
import { type ReadyEntry, ReadyIndex } from './ready-index.js';

/** A mark that says nothing is as good as none. */
function plain(entry: ReadyEntry | undefined): ReadyEntry | undefined {
  return entry && { ...entry, mark: entry.mark ?? NO_MARK };
}

describe('the ready index', () => {
  it('gives what is in it in order of sequence, whatever is put back in between', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = seededRandom(seed);
      const index = new ReadyIndex();
      const model: ReadyEntry[] = [];
      const taken: ReadyEntry[] = [];
      let sequence = 0;
      for (let step = 0; step < 6000; step++) {
        const dice = random();
        if (dice < 0.5) {
          sequence += 1 + pick(random, 3);
          const entry = {
            sequence,
            position: sequence * 300,
            deliveryCount: pick(random, 5),
            redelivered: random() < 0.5,
            mark: random() < 0.3 ? { ...NO_MARK, expiresAt: pick(random, 1000) + 1 } : undefined,
          };
          index.push(entry.sequence, entry.position, entry.deliveryCount, entry.redelivered, entry.mark);
          model.push(entry);
        } else if (dice < 0.9 || taken.length === 0) {
          const expected = model.shift();
          expect({ seed, next: index.nextSequence() }).toEqual({
            seed,
            next: expected?.sequence ?? Infinity,
          });
          expect({ seed, at: index.nextExpiresAt() }).toEqual({ seed, at: expected?.mark?.expiresAt ?? 0 });
          expect({ seed, entry: plain(index.shift()) }).toEqual({ seed, entry: plain(expected) });
          if (expected !== undefined && random() < 0.3) taken.push(expected);
        } else {
          const [entry] = taken.splice(pick(random, taken.length), 1) as [ReadyEntry];
          const again = { ...entry, redelivered: true, deliveryCount: entry.deliveryCount + 1 };
          index.putBack(again);
          model.splice(model.findLastIndex((one) => one.sequence < entry.sequence) + 1, 0, again);
        }
        if (index.length !== model.length)
          throw new Error(`seed ${seed}: ${index.length}, not ${model.length}`);
      }
    }
  });

  it('keeps positions of any segment and large counts exactly', () => {
    const index = new ReadyIndex();
    const entry = {
      sequence: 2 ** 53 - 1,
      position: (2 ** 23 - 1) * 2 ** 30 + 5,
      deliveryCount: 2 ** 31 - 1,
      redelivered: true,
      mark: undefined,
    };
    index.push(entry.sequence, entry.position, entry.deliveryCount, entry.redelivered);
    expect(index.shift()).toEqual(entry);
  });
});
