import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { Message } from '../message/message.js';
import { durable, JOURNAL, journalOn, persistent, rowsOf } from './journal-model.spec.support.js';
import { UNMARKED } from './random-mark.spec.support.js';
import type { JournalStore } from './journal-store.js';
import { SimulatedFileSystem } from './simulated-file-system.js';

/**
 * J11: the bytes of a journal with each kind of record, as they were when the format's version was given out. A change here
 * is a change of the format: a new version, a new golden file, and the old one stays, to be refused or read.
 * NESTMQ_WRITE_GOLDEN=1 writes it anew.
 */
const GOLDEN = resolve(dirname(fileURLToPath(import.meta.url)), '../../golden/journal-v3.txt');

const all: Message = {
  exchange: 'orders',
  routingKey: 'order.placed',
  properties: {
    contentType: 'application/json',
    headers: {
      text: 'ä',
      number: -1,
      flag: true,
      nothing: null,
      list: [1, 2.5],
      at: new Date(1_700_000_000_000),
    },
    deliveryMode: 2,
    priority: 3,
    correlationId: 'c',
    replyTo: 'r',
    expiration: '60000',
    messageId: 'm',
    timestamp: 1_700_000_000,
    type: 't',
    userId: 'u',
    appId: 'a',
  },
  body: Buffer.from('{"id":1}'),
};

/** Two segments: every record but `gap`, which a repair writes. The first one is compacted away in part. */
async function makeJournal(): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem();
  const store = journalOn(disk, { segmentBytesMax: 2048 });
  await store.open();
  store.define('["queue","/","q"]', { id: 1, autoDelete: false });
  const first = store.publish(all, [1, 2], 0);
  const marks = [{ expiresAt: 1_800_000_000_000, readyAt: 0, priority: 7 }];
  const second = store.publish(persistent('second', 'k'), [1], 0, marks);
  await durable(store);
  store.requeue(1, second.sequence, second.position, 2, 1_800_000_000_123);
  store.move({ queueId: 2, ...first, message: all }, persistent('{"id":1}', 'dead'), [3], 0);
  const third = store.publish(persistent('third', 'k'), [4], 0);
  await durable(store);
  store.discard(4, third.sequence, [], [third.position]);
  store.transact(
    [{ message: persistent('fourth', 'k'), journaledQueueIds: [1], otherQueues: 0 }],
    [{ queueId: 1, ...first }],
  );
  await durable(store);
  await compacted(store, second);
  await store.close();
  return disk;
}

/** Lets the segment of the second message be compacted: what comes after it is large, and settled at once. */
async function compacted(
  store: JournalStore,
  { sequence, position }: { readonly sequence: number; readonly position: number },
): Promise<void> {
  const mark = { expiresAt: 1_800_000_000_000, readyAt: 1_800_000_000_123, priority: 7 };
  const second = { position, deliveryCount: 2, mark };
  store.compactFor({
    find: (queueId, one) => (queueId === 1 && one === sequence ? second : undefined),
    relocate: (_queueId, _sequence, to) => (second.position = to),
  });
  while (store.compactions === 0) {
    const large = store.publish(persistent(Buffer.alloc(700, 'x'), 'k'), [5], 0);
    store.settle(5, large.sequence, large.position);
    await durable(store);
    await new Promise(setImmediate);
  }
}

/** Each file with its name and its bytes in hex, 32 in a line. */
function dump(disk: SimulatedFileSystem): string {
  const files = disk.paths().map((path) => {
    const hex = disk.readNow(path).toString('hex').replaceAll(/.{64}/g, '$&\n').trimEnd();
    return `${path.slice(JOURNAL.length + 1)}\n${hex}\n`;
  });
  return files.join('\n');
}

async function load(text: string): Promise<SimulatedFileSystem> {
  const disk = new SimulatedFileSystem();
  await disk.makeDirectory(JOURNAL);
  for (const part of text.split('\n\n')) {
    const [name = '', ...lines] = part.trim().split('\n');
    const file = await disk.open(`${JOURNAL}/${name}`, 'create');
    await file.write(Buffer.from(lines.join(''), 'hex'), 0);
    await file.close();
  }
  return disk;
}

describe('J11 the format of the journal', () => {
  it('is, byte by byte, as it was given out', async () => {
    const made = dump(await makeJournal());
    if (process.env['NESTMQ_WRITE_GOLDEN'] === '1') writeFileSync(GOLDEN, made);
    expect(made).toBe(readFileSync(GOLDEN, 'utf8'));
  });

  it('is read as what was written', async () => {
    const store = journalOn(await load(readFileSync(GOLDEN, 'utf8')));
    const { entries, definitions } = await store.open();
    expect([...definitions]).toEqual([['["queue","/","q"]', { id: 1, autoDelete: false }]]);
    const found: unknown[] = [];
    for (const [queueId, columns] of entries) {
      const rows = rowsOf(columns);
      const messages = await store.read(rows.map(({ position }) => position));
      for (const [i, { routingKey, body, properties }] of messages.entries()) {
        found.push([
          queueId,
          rows[i]?.deliveryCount,
          rows[i]?.mark,
          routingKey,
          body.toString(),
          properties.headers,
        ]);
      }
    }
    const mark = { expiresAt: 1_800_000_000_000, readyAt: 1_800_000_000_123, priority: 7 };
    expect(found.toSorted()).toEqual([
      [1, 0, UNMARKED, 'k', 'fourth', { of: 'k' }],
      [1, 2, mark, 'k', 'second', { of: 'k' }],
      [3, 0, UNMARKED, 'dead', '{"id":1}', { of: 'dead' }],
    ]);
    await store.close();
  });
});
