import { simulateBroker } from './broker-simulation.spec.support.js';
import { Connection } from './connection.js';
import type { Message } from './message/message.js';
import { keepingDefinitions, noticing, replace, settlingUnwritten } from './planting.spec.support.js';
import { Consumer } from './queue/consumer.js';
import { Delivery } from './queue/delivery.js';
import { QueueIds } from './queue/queue-ids.js';
import { ReadyIndex } from './queue/ready-index.js';
import type { Simulation } from './simulating.spec.support.js';
import { JournalStore } from './store/journal-store.js';
import { Vhost } from './vhost.js';

/** A bug that is put in on purpose, from outside, to see that the simulation finds it. */
export interface PlantedFault {
  readonly name: string;
  /** How many seeds the simulation may need to find it. */
  readonly withinSeeds: number;
  /** Puts it in; returns what takes it out again. */
  readonly plant: () => (() => void)[];
}

/** The simulation of an engine that has the bug. */
export function withFault({ plant }: PlantedFault): Simulation {
  return async (seed, options) => {
    const takeOut = plant();
    try {
      return await simulateBroker(seed, options);
    } finally {
      for (const one of takeOut.toReversed()) one();
    }
  };
}

/** As a cache of 61 places would be that does not look whose place it is. */
function hashOf(position: number): number {
  return position % 61;
}

/** Bugs that people make, and how many seeds the simulation may need to find each. */
export const PLANTED_FAULTS: readonly PlantedFault[] = [
  {
    name: 'a requeued message goes to the end',
    withinSeeds: 20,
    plant: () => [
      replace(
        ReadyIndex.prototype,
        'putBack',
        () =>
          function (this: ReadyIndex, { sequence, position, deliveryCount, redelivered }) {
            this.push(sequence, position, deliveryCount, redelivered);
          },
      ),
    ],
  },
  {
    name: 'a failed attempt settles the message',
    withinSeeds: 20,
    plant: () => [
      replace(
        JournalStore.prototype,
        'requeue',
        () =>
          function (this: JournalStore, queueId, sequence, position) {
            this.settle(queueId, sequence, position);
          },
      ),
    ],
  },
  {
    name: 'a requeued message is not flagged as redelivered',
    withinSeeds: 20,
    plant: () => [
      replace(
        ReadyIndex.prototype,
        'putBack',
        (original) =>
          function (this: ReadyIndex, entry) {
            original.call(this, { ...entry, redelivered: false });
          },
      ),
    ],
  },
  {
    name: 'the delivery count is not written',
    withinSeeds: 50,
    plant: () => [replace(JournalStore.prototype, 'requeue', () => () => {})],
  },
  {
    name: 'messages of a deleted queue stay in the journal, and the next queue gets its id',
    withinSeeds: 200,
    plant: () => [
      ...settlingUnwritten('delete'),
      replace(
        JournalStore.prototype,
        'open',
        (original) =>
          async function (this: JournalStore) {
            const { entries, definitions, lacksSnapshot } = await original.call(this);
            const ids = new Set([...definitions.values()].map((value) => (value as { id?: number }).id));
            return {
              definitions,
              lacksSnapshot,
              entries: new Map([...entries].filter(([id]) => ids.has(id))),
            };
          },
      ),
    ],
  },
  {
    name: 'the deletion of a queue is not written',
    withinSeeds: 50,
    plant: () => keepingDefinitions('queue'),
  },
  {
    name: 'the deletion of an exchange is not written',
    withinSeeds: 100,
    plant: () => keepingDefinitions('exchange'),
  },
  {
    name: 'the removal of a binding is not written',
    withinSeeds: 50,
    plant: () => keepingDefinitions('binding'),
  },
  { name: 'a purge is not written', withinSeeds: 50, plant: () => settlingUnwritten('purge') },
  {
    name: 'unsettled messages of a closed connection are lost',
    withinSeeds: 20,
    plant: () => [
      replace(
        Consumer.prototype,
        'giveBack',
        () =>
          function (this: Consumer) {
            for (const delivery of this.unsettled()) delivery.ack();
          },
      ),
    ],
  },
  {
    name: 'a message is forwarded in two steps',
    withinSeeds: 500,
    plant: () => [
      replace(
        Vhost.prototype,
        'forward',
        () =>
          function (this: Vhost, delivery, envelope) {
            if (delivery.settled) return 'settled';
            const outcome = this.publish({ ...envelope, body: delivery.message.body });
            if (outcome === 'routed') delivery.ack();
            return outcome;
          },
      ),
    ],
  },
  {
    name: 'definitions are confirmed before they are durable',
    withinSeeds: 50,
    plant: () => {
      const { isRunning, takeOut } = noticing(Connection.prototype, 'declareQueue');
      return [
        takeOut,
        replace(
          Connection.prototype,
          'durable',
          (original) =>
            function (this: Connection) {
              return isRunning() ? Promise.resolve() : original.call(this);
            },
        ),
      ];
    },
  },
  {
    name: 'messages are confirmed before they are durable',
    withinSeeds: 50,
    plant: () => [
      replace(
        Connection.prototype,
        'publish',
        (original) =>
          function (this: Connection, message, onDurable) {
            const outcome = original.call(this, message);
            if (onDurable !== undefined) queueMicrotask(onDurable);
            return outcome;
          },
      ),
    ],
  },
  {
    name: 'the prefetch is ignored',
    withinSeeds: 20,
    plant: () => [
      replace(
        Consumer.prototype,
        'hasCredit',
        () =>
          function (this: Consumer) {
            return !this.cancelled;
          },
      ),
    ],
  },
  {
    name: 'the cache knows messages by a hash of their position alone',
    withinSeeds: 100,
    plant: () => {
      const byHash = new Map<number, Message>();
      return [
        replace(
          JournalStore.prototype,
          'publish',
          (original) =>
            function (this: JournalStore, message, journaled, others) {
              const appended = original.call(this, message, journaled, others);
              if (appended.position >= 0) byHash.set(hashOf(appended.position), message);
              return appended;
            },
        ),
        replace(
          JournalStore.prototype,
          'peek',
          (original) =>
            function (this: JournalStore, position) {
              const found = original.call(this, position);
              return position < 0 || found === undefined ? found : (byHash.get(hashOf(position)) ?? found);
            },
        ),
      ];
    },
  },
  {
    name: 'a fan-out is settled in all its queues at once',
    withinSeeds: 50,
    plant: () => {
      const queuesOf = new Map<number, readonly number[]>();
      return [
        replace(
          JournalStore.prototype,
          'publish',
          (original) =>
            function (this: JournalStore, message, journaled, others) {
              const appended = original.call(this, message, journaled, others);
              queuesOf.set(appended.sequence, journaled);
              return appended;
            },
        ),
        replace(
          JournalStore.prototype,
          'settle',
          (original) =>
            function (this: JournalStore, queueId, sequence, position) {
              original.call(this, queueId, sequence, position);
              for (const other of queuesOf.get(sequence) ?? []) {
                if (other !== queueId && position >= 0) original.call(this, other, sequence, position);
              }
            },
        ),
      ];
    },
  },
  {
    name: 'compaction does not tell the queues where a message is now',
    withinSeeds: 300,
    plant: () => [replace(QueueIds.prototype, 'relocate', () => () => {})],
  },
  {
    name: 'a settled delivery can be settled again',
    withinSeeds: 20,
    plant: () => [
      replace(
        Delivery.prototype,
        'requeue',
        () =>
          function (this: Delivery, { failed }) {
            this.queue.putBack(this.entry, failed, this.message);
            this.consumer.onSettled(this);
            return true;
          },
      ),
    ],
  },
];
