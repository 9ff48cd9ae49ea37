import { pick, pickOne } from '../random.spec.support.js';
import { durable, type JournalModel, type ModelEntry, persistent } from './journal-model.spec.support.js';
import type { JournalStore } from './journal-store.js';
import type { Marks } from './message-store.js';
import { randomMarks, randomTime } from './random-mark.spec.support.js';

const QUEUES = [1, 2, 3] as const;

/** How a history treats its messages. */
export interface Habits {
  /** Share of operations up to which they are publishes; settlements go on up to 0.75. */
  readonly publishing: number;
  /** Share of settlements that take the oldest message. */
  readonly oldestFirst: number;
  /** Where marks and times come from, so that a history without them is the same otherwise. @default there are none */
  readonly marking?: (() => number) | undefined;
}

/** Segments become free from the oldest on. */
export const ORDERLY: Habits = { publishing: 0.45, oldestFirst: 0.8 };
/** Some messages are stuck while the others come and go: segments have to be compacted. */
export const STUCK: Habits = { publishing: 0.38, oldestFirst: 0.02 };

/** One random operation: mostly publishes and settlements, of messages old and new. */
export function act(
  model: JournalModel,
  random: () => number,
  bodyBytesMax: number,
  habits: Habits = ORDERLY,
): void {
  const live = model.live();
  const choice = random();
  const { marking } = habits;
  const marksFor = (queueIds: readonly number[]): Marks | undefined =>
    marking && randomMarks(marking, queueIds);
  if (choice < habits.publishing || live.length === 0) {
    const body = Buffer.alloc(pick(random, bodyBytesMax), pick(random, 256));
    const chosen = QUEUES.filter(() => random() < 0.5);
    const queueIds = chosen.length > 0 ? chosen : [1];
    model.publish(persistent(body, `key.${pick(random, 100)}`), queueIds, marksFor(queueIds));
  } else if (choice < 0.75) {
    const entry = random() < habits.oldestFirst ? live[0] : newish(live, random, habits);
    if (entry !== undefined) model.settle(entry);
  } else if (choice < 0.83) {
    model.requeue(pickOne(random, live), marking && randomTime(marking));
  } else if (choice < 0.91) {
    const [entry, key, to] = [pickOne(random, live), `moved.${pick(random, 100)}`, [pickOne(random, QUEUES)]];
    model.move(entry, key, to, marksFor(to));
  } else if (choice < 0.915) {
    const queueId = pickOne(random, QUEUES);
    model.discard(
      queueId,
      live.filter((entry) => entry.queueId === queueId && random() < 0.3),
    );
  } else if (choice < 0.94) {
    const messages = Array.from({ length: pick(random, 4) }, () =>
      persistent(Buffer.alloc(pick(random, bodyBytesMax), pick(random, 256)), `tx.${pick(random, 100)}`),
    );
    const to = [pickOne(random, QUEUES)];
    const settled = live.filter(() => random() < 2 / live.length);
    model.transact(messages, to, settled, marksFor(to));
  } else {
    model.define(`["queue","/","q${pick(random, 6)}"]`, random() < 0.3 ? null : { id: pick(random, 1000) });
  }
}

/** What consumers do also while the disk has failed. */
export function settleOrRequeue(
  model: JournalModel,
  random: () => number,
  { marking }: Habits = ORDERLY,
): void {
  const live = model.live();
  if (live.length === 0) return;
  if (random() < 0.5) model.settle(pickOne(random, live));
  else model.requeue(pickOne(random, live), marking && randomTime(marking));
}

function newish(live: readonly ModelEntry[], random: () => number, habits: Habits): ModelEntry {
  const isOrderly = habits.oldestFirst === ORDERLY.oldestFirst;
  return isOrderly ? pickOne(random, live) : pickOne(random, live.slice(-6));
}

/** Operations in small groups, each waited for, so that there are many commits. */
export async function actInGroups(
  store: JournalStore,
  model: JournalModel,
  random: () => number,
  {
    groups,
    bodyBytesMax,
    habits,
  }: { readonly groups: number; readonly bodyBytesMax: number; readonly habits?: Habits },
): Promise<void> {
  for (let group = 0; group < groups; group++) {
    for (let left = 1 + pick(random, 5); left > 0; left--) {
      act(model, random, bodyBytesMax, habits);
      if (random() < 0.5) model.watch();
    }
    model.watch();
    await durable(store);
  }
}
