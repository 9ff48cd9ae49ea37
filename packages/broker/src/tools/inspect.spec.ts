import { describe, expect, it } from '@jest/globals';
import { openBroker } from '../broker.js';
import { consumeInto, publishAll } from '../engine.spec.support.js';
import { SimulatedFileSystem } from '../store/simulated-file-system.js';
import { inspectJournal } from './inspect.js';
import { DIRECTORY } from './whole-journal.spec.support.js';

describe('nestmq inspect', () => {
  it('tells what is in queues and files, beside the broker, and changes nothing', async () => {
    const fileSystem = new SimulatedFileSystem();
    const broker = await openBroker({ directory: DIRECTORY, fileSystem, segmentBytesMax: 64 * 1024 });
    const connection = broker.connect();
    await connection.declareExchange('orders', { type: 'topic' });
    await connection.declareQueue('billing');
    await connection.declareQueue('empty');
    await connection.bindQueue('billing', 'orders', 'order.*');
    await connection.bindExchange({ source: 'amq.topic', destination: 'orders', key: '#' });
    publishAll(
      connection,
      'billing',
      Array.from({ length: 100 }, () => 'x'.repeat(1000)),
    );
    const { inbox } = consumeInto(connection, 'billing', { prefetchCount: 40 });
    for (let i = 1; i <= 40; i++) (await inbox.nth(i)).ack();
    connection.close();
    await broker.close();
    const again = await openBroker({ directory: DIRECTORY, fileSystem });
    const before = fileSystem.afterKill();
    const report = await inspectJournal(fileSystem, DIRECTORY);
    expect(report).toMatchObject({
      queues: [
        { name: 'billing', messages: 60 },
        { name: 'empty', messages: 0, oldestSequence: undefined },
      ],
      exchanges: [{ name: 'orders', type: 'topic' }],
      bindings: 2,
      mark: { segment: 2, firstSegment: 1 },
    });
    const [billing] = report.queues;
    expect(billing?.newestSequence).toBe((billing?.oldestSequence ?? 0) + 59);
    expect(report.segments.map(({ hasIndex }) => hasIndex)).toEqual([true, false]);
    expect(report.segments.reduce((sum, { live }) => sum + live, 0)).toBe(60);
    for (const { live, messages, liveRatio } of report.segments) expect(liveRatio).toBe(live / messages);
    for (const path of before.paths()) expect(fileSystem.readNow(path)).toEqual(before.readNow(path));
    await again.close();
  });

  it.each([
    ['no directory', '/nowhere', 'There is no directory'],
    ['no journal', '/', 'There is no journal'],
    ['the journal itself', `${DIRECTORY}/journal`, 'Give the directory above it'],
  ])('says so when there is %s', async (_, directory, text) => {
    const fileSystem = new SimulatedFileSystem();
    const broker = await openBroker({ directory: DIRECTORY, fileSystem });
    await broker.close();
    await expect(inspectJournal(fileSystem, directory)).rejects.toThrow(text);
  });
});
