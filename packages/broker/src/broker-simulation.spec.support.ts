import { Machine } from './broker-machine.spec.support.js';
import { replace } from './planting.spec.support.js';
import { pick, seededRandom } from './random.spec.support.js';
import type { HistoryOptions, Simulated } from './simulating.spec.support.js';
import { JournalStore } from './store/journal-store.js';

/**
 * One random history of a whole engine on a simulated disk, through its connections: definitions, messages, consumers,
 * settlements; then a power cut or a kill at any moment, sometimes more while it opens again, sometimes a disk that fails
 * or is full; then what a client finds is compared with the model (J1 to J7).
 */
export async function simulateBroker(seed: number, options: HistoryOptions = {}): Promise<Simulated> {
  const { operationsMax = Infinity, without, trace = () => {} } = options;
  const random = seededRandom(seed);
  const { compactions, forget } = countCompactions();
  const machine = new Machine(random, trace);
  try {
    await machine.open();
    const operations = Math.min(40 + pick(random, 260), operationsMax);
    for (let number = 0; number < operations; number++) {
      if (without?.has(number) ?? false) continue;
      // Each has random numbers of its own, so that it does not depend on those that are left out.
      await machine.step(
        number,
        seededRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(number + 1, 0x85ebca6b)),
      );
    }
    await machine.end();
    return { ...machine.count, compactions: compactions() };
  } finally {
    forget();
  }
}

/** Only the stores know, and an engine does not show its own. */
function countCompactions(): { readonly compactions: () => number; readonly forget: () => void } {
  const stores: JournalStore[] = [];
  const forget = replace(
    JournalStore.prototype,
    'compactFor',
    (original) =>
      function (this: JournalStore, residents) {
        stores.push(this);
        original.call(this, residents);
      },
  );
  return { compactions: () => stores.reduce((sum, store) => sum + store.compactions, 0), forget };
}
