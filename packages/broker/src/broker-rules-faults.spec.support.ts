import { replace } from './planting.spec.support.js';
import { QueueRules } from './queue/queue-rules.js';
import { DelayQueue } from './queue/delay-queue.js';
import { StuckLetters } from './queue/stuck-letters.js';
import { Departures } from './queue/departures.js';
import { DelayedIndex } from './queue/delayed-index.js';
import { JournalStore } from './store/journal-store.js';

/** A bug that is put in on purpose; `plant` returns what takes it out again. */
export interface RulesFault {
  readonly name: string;
  /** How many seeds the simulation may need to find it. */
  readonly withinSeeds: number;
  readonly plant: () => (() => void)[];
}

/** Bugs in what queues make of their messages. */
export const RULES_FAULTS: readonly RulesFault[] = [
  {
    name: 'a dead letter is moved in two steps',
    // Both mostly go by one commit: 245 is the first that tells them apart.
    withinSeeds: 600,
    plant: () => [
      replace(
        JournalStore.prototype,
        'move',
        () =>
          function (this: JournalStore, from, message, journaled, others, marks) {
            const appended = this.publish(message, journaled, others, marks);
            this.settle(from.queueId, from.sequence, from.position);
            return appended;
          },
      ),
    ],
  },
  {
    name: 'a delay is forgotten with a restart',
    withinSeeds: 50,
    plant: () => [
      replace(
        DelayQueue.prototype,
        'restore',
        (original) =>
          function (this: DelayQueue, entries) {
            original.call(this, { ...entries, readyAt: new Float64Array(entries.length) });
          },
      ),
    ],
  },
  {
    name: 'messages that have to wait on their way to the dead letters are forgotten',
    withinSeeds: 300,
    plant: () => [
      replace(
        Departures.prototype,
        'turn',
        (original) =>
          function (this: Departures<unknown>) {
            original.call(this);
            if (this.count > 0) this.takeAll();
          },
      ),
    ],
  },
  {
    name: 'letters that nobody takes go, though they are to stay',
    withinSeeds: 20,
    plant: () => [
      replace(
        StuckLetters.prototype,
        'add',
        () =>
          function (this: StuckLetters) {
            this.stop();
          },
      ),
    ],
  },
  {
    name: 'letters that nobody takes are not found when messages are brought forward',
    withinSeeds: 400,
    plant: () => [replace(StuckLetters.prototype, 'find', () => () => undefined)],
  },
  {
    name: 'what expires is settled, not dead-lettered',
    withinSeeds: 20,
    plant: () => [
      replace(
        QueueRules.prototype,
        'dropExpired',
        (original) =>
          function (this: QueueRules) {
            const { deadLetterExchange } = this.settings;
            Object.assign(this.settings, { deadLetterExchange: undefined });
            const isDone = original.call(this);
            Object.assign(this.settings, { deadLetterExchange });
            return isDone;
          },
      ),
    ],
  },
  {
    name: 'delayed messages are given in the order of their coming',
    withinSeeds: 50,
    plant: () => [
      replace(
        DelayedIndex.prototype,
        'add',
        (original) =>
          function (this: DelayedIndex, entry, dueAt) {
            original.call(this, entry, Math.min(dueAt, this.nextDueAt));
          },
      ),
    ],
  },
  {
    name: 'a queue with a limit counts what is unsettled for what is ready',
    withinSeeds: 50,
    plant: () => [
      replace(
        QueueRules.prototype,
        'settle',
        () =>
          function (this: QueueRules) {
            this.dropExpired();
          },
      ),
    ],
  },
];
