import { describe, expect, it } from '@jest/globals';
import { type Broker, openBroker } from '../broker.js';
import type { Connection } from '../connection.js';
import { consumeInto, publishAll } from '../engine.spec.support.js';
import { SimulatedFileSystem } from '../store/simulated-file-system.js';
import { checkJournal } from './check.js';
import { repairJournal } from './repair.js';
import { DIRECTORY, flipped } from './whole-journal.spec.support.js';

const DEFINITIONS = `${DIRECTORY}/journal/definitions.json`;

async function opened(fileSystem: SimulatedFileSystem): Promise<{ broker: Broker; connection: Connection }> {
  const broker = await openBroker({ directory: DIRECTORY, fileSystem, segmentBytesMax: 64 * 1024 });
  return { broker, connection: broker.connect() };
}

/** Definitions whose segments are gone, one that is still in a segment, and a message in two queues. */
async function brokerWithSnapshot(): Promise<SimulatedFileSystem> {
  const fileSystem = new SimulatedFileSystem();
  const { broker, connection } = await opened(fileSystem);
  await connection.declareExchange('orders', { type: 'topic' });
  await connection.declareQueue('billing');
  await connection.declareQueue('traffic');
  const { inbox } = consumeInto(connection, 'traffic', { prefetchCount: 1000 });
  for (let round = 1; !fileSystem.paths().includes(DEFINITIONS); round++) {
    publishAll(
      connection,
      'traffic',
      Array.from({ length: 100 }, () => 'x'.repeat(1000)),
    );
    for (let i = 1; i <= 100; i++) (await inbox.nth((round - 1) * 100 + i)).ack();
    await connection.declareQueue(`late.${round}`);
  }
  await connection.declareQueue('late');
  await connection.bindQueue('late', 'orders', '#');
  await connection.bindExchange({ source: 'amq.topic', destination: 'orders', key: 'order.#' });
  await connection.bindExchange({ source: 'amq.topic', destination: 'amq.match', key: '#' });
  publishAll(connection, 'billing', ['one', 'two']);
  publishAll(connection, 'late', ['three']);
  await broker.close();
  return fileSystem;
}

async function bodiesIn(connection: Connection, queue: string, count: number): Promise<string[]> {
  const { inbox } = consumeInto(connection, queue);
  await inbox.nth(count);
  return inbox.bodies;
}

describe('a damaged definitions.json', () => {
  it.each<[string, (files: SimulatedFileSystem) => void | Promise<void>]>([
    ['damaged', (files) => files.replaceNow(DEFINITIONS, flipped(files.readNow(DEFINITIONS), 150, 0x01))],
    ['cut', (files) => files.replaceNow(DEFINITIONS, files.readNow(DEFINITIONS).subarray(0, 200))],
    ['missing', (files) => files.remove(DEFINITIONS)],
  ])('that is %s costs no message: its queues come back under recovered names', async (_, damage) => {
    const files = await brokerWithSnapshot();
    await damage(files);
    expect(await checkJournal(files, DIRECTORY)).toMatchObject({
      verdict: 'damaged',
      problems: [{ file: 'definitions.json' }],
    });
    const report = await repairJournal(files, DIRECTORY);
    expect(report).toMatchObject({
      outcome: 'repaired',
      kept: 3,
      lost: [],
      definitionsMayBeMissing: true,
      recoveredQueues: ['recovered.1'],
      droppedBindings: ['/ orders late #', '/ amq.topic orders order.#'],
    });
    const { broker, connection } = await opened(files);
    expect(await bodiesIn(connection, 'recovered.1', 2)).toEqual(['one', 'two']);
    expect(await bodiesIn(connection, 'late', 1)).toEqual(['three']);
    await broker.close();
  });

  it('leaves the name of a queue to the one that has it', async () => {
    const files = await brokerWithSnapshot();
    const { broker, connection } = await opened(files);
    await connection.declareQueue('recovered.1');
    await broker.close();
    await files.remove(DEFINITIONS);
    expect((await repairJournal(files, DIRECTORY)).recoveredQueues).toEqual(['recovered.1.2']);
  });
});
