import type { File, FileSystem } from './file-system.js';
import type { JournalStore } from './journal-store.js';
import type { MessageStore, Residence } from './message-store.js';
import type { SimulatedFileSystem } from './simulated-file-system.js';
import type { PlantedFault } from './simulation.spec.support.js';

/** The disk with some of its methods replaced. */
export function diskWith(disk: SimulatedFileSystem, over: Partial<FileSystem>): FileSystem {
  return {
    makeDirectory: (path) => disk.makeDirectory(path),
    list: (path) => disk.list(path),
    open: (path, mode) => disk.open(path, mode),
    rename: (from, to) => disk.rename(from, to),
    link: (path, second) => disk.link(path, second),
    remove: (path) => disk.remove(path),
    syncDirectory: (path) => disk.syncDirectory(path),
    freeBytes: (path) => disk.freeBytes(path),
    ...over,
  };
}

/** The disk whose files, where the path ends so, have some of their methods replaced. */
function filesWith(
  disk: SimulatedFileSystem,
  ending: string,
  over: (file: File) => Partial<File>,
): FileSystem {
  return diskWith(disk, {
    async open(path, mode) {
      const file = await disk.open(path, mode);
      if (!path.endsWith(ending)) return file;
      return {
        write: (bytes, position) => file.write(bytes, position),
        writeDurably: (bytes, position) => file.writeDurably(bytes, position),
        read: (into, position) => file.read(into, position),
        sync: () => file.sync(),
        size: () => file.size(),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
        ...over(file),
      };
    },
  });
}

/** The journal with some of its methods replaced. */
function storeWith(store: JournalStore, over: Partial<MessageStore>): MessageStore {
  return {
    open: () => store.open(),
    publish: (message, journaled, others, marks) => store.publish(message, journaled, others, marks),
    transact: (publications, settled) => store.transact(publications, settled),
    settle: (queueId, sequence, position) => store.settle(queueId, sequence, position),
    discard: (queueId, through, kept, positions) => store.discard(queueId, through, kept, positions),
    requeue: (queueId, sequence, position, count, readyAt) =>
      store.requeue(queueId, sequence, position, count, readyAt),
    move: (from, message, journaled, others, marks) => store.move(from, message, journaled, others, marks),
    compactFor: (residents) => store.compactFor(residents),
    define: (key, value) => store.define(key, value),
    whenDurable: (callback) => store.whenDurable(callback),
    peek: (position) => store.peek(position),
    read: (positions) => store.read(positions),
    failure: undefined,
    blocked: undefined,
    close: () => store.close(),
    ...over,
  };
}

/** The journal to which messages that are brought forward are told to be others. */
function compactingBy(store: JournalStore, changed: (found: Residence) => Residence): MessageStore {
  return storeWith(store, {
    compactFor: (residents) =>
      store.compactFor({
        find(queueId, sequence) {
          const found = residents.find(queueId, sequence);
          return found === undefined ? undefined : changed(found);
        },
        relocate: (queueId, sequence, position) => residents.relocate(queueId, sequence, position),
      }),
  });
}

/** Each index file gets what the one before it should have had. */
function staleIndexes(disk: SimulatedFileSystem): FileSystem {
  let previous: Uint8Array | undefined;
  return filesWith(disk, '.index', (file) => ({
    async write(bytes, position) {
      const stale = previous ?? bytes;
      previous = bytes;
      await file.write(stale, position);
    },
  }));
}

/** Bugs that people make, and how many seeds the simulation may need to find each. */
export const PLANTED_FAULTS: readonly (PlantedFault & { readonly withinSeeds: number })[] = [
  {
    name: 'confirm before fdatasync',
    withinSeeds: 20,
    disk: (disk) =>
      filesWith(disk, '.segment', (file) => ({
        writeDurably: (bytes, position) => file.write(bytes, position),
      })),
  },
  {
    name: 'no fsync of the directory',
    withinSeeds: 50,
    disk: (disk) => diskWith(disk, { syncDirectory: async () => {} }),
  },
  {
    name: 'confirm at once, without waiting for the commit',
    withinSeeds: 20,
    store: (store) => storeWith(store, { whenDurable: (callback) => queueMicrotask(callback) }),
  },
  {
    name: 'confirm with the commit before',
    withinSeeds: 50,
    store: (store) => {
      let previous = Promise.resolve();
      return storeWith(store, {
        whenDurable(callback) {
          void previous.then(() => callback());
          previous = new Promise((resolve) => {
            store.whenDurable(() => resolve());
          });
        },
      });
    },
  },
  {
    name: 'the last sector of a file is read as zeros',
    withinSeeds: 200,
    disk: (disk) =>
      filesWith(disk, '.segment', (file) => ({
        async read(into, position) {
          const count = await file.read(into, position);
          if (count > 1024) into.fill(0, count - 512, count);
          return count;
        },
      })),
  },
  {
    name: 'the header of a new segment is not synced',
    withinSeeds: 500,
    disk: (disk) => filesWith(disk, '.segment', () => ({ sync: async () => {} })),
  },
  {
    name: 'the snapshot of the definitions is not synced before it is renamed',
    withinSeeds: 500,
    disk: (disk) => filesWith(disk, 'definitions.json.new', () => ({ sync: async () => {} })),
  },
  {
    name: 'a move is two records, in two commits',
    withinSeeds: 50,
    store: (store) =>
      storeWith(store, {
        move(from, message, journaled, others, marks) {
          const moved = store.publish(message, journaled, others, marks);
          store.whenDurable(() => store.settle(from.queueId, from.sequence, from.position));
          return moved;
        },
      }),
  },
  {
    name: 'a move settles first and publishes later',
    withinSeeds: 50,
    store: (store) =>
      storeWith(store, {
        move(from, message, journaled, others, marks) {
          store.settle(from.queueId, from.sequence, from.position);
          store.whenDurable(() => {});
          const moved = store.publish({ ...message, properties: {} }, journaled, others, marks);
          return moved;
        },
      }),
  },
  {
    name: 'settlements are not written',
    withinSeeds: 20,
    store: (store) =>
      storeWith(store, {
        settle: (_queueId, _sequence, position) => store.settle(0, 0, position),
      }),
  },
  {
    name: 'a settlement names the message after',
    withinSeeds: 20,
    store: (store) =>
      storeWith(store, {
        settle: (queueId, sequence, position) => store.settle(queueId, sequence + 1, position),
      }),
  },
  {
    name: 'the delivery count is not written',
    withinSeeds: 50,
    store: (store) => storeWith(store, { requeue: () => {} }),
  },
  {
    name: 'a fan-out is written for the first queue only',
    withinSeeds: 20,
    store: (store) =>
      storeWith(store, {
        publish: (message, journaled, others, marks) =>
          store.publish(message, journaled.slice(0, 1), others, marks?.slice(0, 1)),
      }),
  },
  {
    name: 'a removed definition comes back',
    withinSeeds: 100,
    store: (store) =>
      storeWith(store, {
        define(key, value) {
          if (value !== null) store.define(key, value);
        },
      }),
  },
  {
    name: 'segments are removed while they hold messages',
    withinSeeds: 50,
    store: (store) =>
      storeWith(store, {
        // Counts each message as needed by one queue less.
        publish(message, journaled, others, marks) {
          const appended = store.publish(message, journaled, others, marks);
          if (journaled.length > 1) store.settle(0, 0, appended.position);
          return appended;
        },
      }),
  },
  {
    name: 'compaction forgets delivery counts',
    withinSeeds: 300,
    store: (store) => compactingBy(store, (found) => ({ ...found, deliveryCount: 0 })),
  },
  {
    name: 'compaction forgets marks',
    withinSeeds: 100,
    store: (store) => compactingBy(store, (found) => ({ ...found, mark: undefined })),
  },
  {
    name: 'compaction forgets the time of a requeue',
    withinSeeds: 100,
    store: (store) =>
      compactingBy(store, ({ mark, ...found }) => ({
        ...found,
        mark: mark && (found.deliveryCount > 0 ? { ...mark, readyAt: 0 } : mark),
      })),
  },
  {
    name: "a message's mark is that of its first queue",
    withinSeeds: 20,
    store: (store) =>
      storeWith(store, {
        publish: (message, journaled, others, marks) =>
          store.publish(message, journaled, others, marks && journaled.map(() => marks[0])),
      }),
  },
  {
    name: 'the time of a requeue is not written',
    withinSeeds: 20,
    store: (store) =>
      storeWith(store, {
        requeue: (queueId, sequence, position, count) => store.requeue(queueId, sequence, position, count),
      }),
  },
  { name: 'the time of a requeue is not read', withinSeeds: 20, flag: 'readyAtForgotten' },
  { name: 'an index has no marks', withinSeeds: 50, flag: 'indexWithoutMarks' },
  {
    name: 'compaction does not tell where a message is now',
    withinSeeds: 100,
    store: (store) =>
      storeWith(store, {
        compactFor: (residents) =>
          store.compactFor({
            find: (queueId, sequence) => residents.find(queueId, sequence),
            relocate: () => {},
          }),
      }),
  },
  { name: "a record's checksum is not compared", withinSeeds: 200, flag: 'checksumIgnored' },
  { name: 'a torn tail is kept', withinSeeds: 50, flag: 'tornTailKept' },
  {
    name: 'what was read from the page cache is believed to be on the disk',
    withinSeeds: 500,
    flag: 'tailNotProven',
  },
  { name: 'the checksum of an index is not compared', withinSeeds: 200, flag: 'indexChecksumIgnored' },
  {
    name: 'an index is believed that is stale',
    withinSeeds: 100,
    flag: 'staleIndexTrusted',
    disk: staleIndexes,
  },
  {
    name: "a settlement goes before its message's segment",
    withinSeeds: 100,
    flag: 'settlementDroppedEarly',
  },
  {
    name: 'a segment goes that has the bodies of moved messages',
    withinSeeds: 200,
    flag: 'borrowedBodyDropped',
  },
  { name: 'commits are confirmed out of order', withinSeeds: 500, flag: 'confirmedOutOfOrder' },
  { name: 'a failed write is ignored', withinSeeds: 100, flag: 'failedWriteIgnored' },
  {
    name: 'compaction forgets a settlement',
    withinSeeds: 200,
    flag: 'settledAreCopied',
  },
  { name: 'a transaction is written record by record', withinSeeds: 100, flag: 'transactionSplit' },
  { name: 'a purge takes what came after it', withinSeeds: 50, flag: 'purgeTakesLater' },
];
