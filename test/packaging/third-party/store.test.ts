import { after, afterEach, before, describe, it } from 'node:test';
import { JournalStore, SimulatedFileSystem, systemClock } from '@nestmq/broker';
import { storeContract } from '@nestmq/broker/store-contract';
import { expect } from 'expect';
import { countingStore } from './counting.js';

const journal = {
  clock: systemClock,
  directory: '/data',
  segmentBytesMax: 1024 * 1024,
  cacheBytesMax: 0,
  settlementDelayMs: 0,
  diskFreeBytesMin: 0,
  onFailure: () => {},
};

storeContract('one that counts', {
  runner: { describe, it, beforeAll: (work) => before(work), afterEach, afterAll: after, expect },
  place() {
    let fileSystem = new SimulatedFileSystem();
    return {
      store: () =>
        countingStore(new JournalStore({ ...journal, fileSystem }), process.env['BROKEN'] === 'yes'),
      kill() {
        fileSystem = fileSystem.afterKill();
      },
    };
  },
});
