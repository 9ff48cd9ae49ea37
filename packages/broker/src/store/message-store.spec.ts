import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { storeContract, type StorePlace } from './contract/store-contract.js';
import { journalOn, type JournalSettings } from './journal-model.spec.support.js';
import { MemoryStore } from './memory-store.js';
import { nodeFileSystem } from './node-file-system.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

const runner = { describe, it, beforeAll, afterEach, afterAll, expect };

function simulatedPlace(settings: JournalSettings = {}): StorePlace {
  let files = new SimulatedFileSystem();
  return {
    store: () => journalOn(files, { settlementDelayMs: 0, ...settings }),
    kill() {
      files = files.afterKill();
    },
  };
}

function realPlace(): StorePlace {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-store-'));
  return {
    store: () => journalOn(nodeFileSystem, { directory }),
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

storeContract('in memory', {
  runner,
  lacks: ['durability', 'killing'],
  place: () => ({ store: () => new MemoryStore() }),
});

storeContract('a journal on a simulated disk', { runner, place: () => simulatedPlace() });

storeContract('a journal without a cache', { runner, place: () => simulatedPlace({ cacheBytesMax: 0 }) });

storeContract('a journal on the disk', { runner, lacks: ['killing'], place: realPlace });
