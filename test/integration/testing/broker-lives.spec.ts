import { afterEach, describe, expect, it } from '@jest/globals';
import { TestBroker } from '@nestmq/testing';
import { connect } from 'amqplib';

let broker: TestBroker;
afterEach(() => broker.stop());

const publish = (queue: string, text: string): unknown =>
  broker.engine
    .connect()
    .publish({ exchange: '', routingKey: queue, properties: {}, body: Buffer.from(text) });

describe('a TestBroker that was stopped', () => {
  it('can be restarted, with what was in it, and stopped again', async () => {
    broker = await TestBroker.start({ listen: true });
    await broker.engine.connect().declareQueue('kept');
    const url = broker.amqpUrl;
    await broker.stop();
    await broker.restart();
    expect(broker.messageCount('kept')).toBe(0);
    const client = await connect(url);
    await client.close();
    await broker.stop();
    expect(broker.engine.isClosed).toBe(true);
    await expect(connect(url)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('advance', () => {
  it('called again before it is done begins after that: time never goes back', async () => {
    broker = await TestBroker.start({ clock: 'manual' });
    const start = broker.now();
    const fired: number[] = [];
    for (const minutes of [1, 2, 3])
      broker.clock.setTimer(minutes * 60_000, () => fired.push((broker.now() - start) / 60_000));
    await Promise.all([
      expect(broker.advance('soon')).rejects.toThrow("Time can't move by 'soon'"),
      broker.advance('1m'),
      broker.advance('2m'),
      broker.advance(0),
    ]);
    expect(broker.now() - start).toBe(180_000);
    expect(fired).toEqual([1, 2, 3]);
  });
});

describe('take', () => {
  it('rejects when there are too few, and has taken none of them', async () => {
    broker = await TestBroker.start();
    await broker.engine.connect().declareQueue('dead');
    for (const text of ['1', '2']) publish('dead', text);
    await expect(broker.take('dead', 3, { timeout: 20 })).rejects.toThrow(
      "Expected 3 message(s) in the queue 'dead' within 20 ms, but there are 2.",
    );
    expect((await broker.take('dead', 2)).map(({ data }) => data)).toEqual([1, 2]);
    expect(broker.messageCount('dead')).toBe(0);
  });

  it('refuses a count that there can not be, and a queue that there is not', async () => {
    broker = await TestBroker.start();
    await expect(broker.take('dead', -1)).rejects.toThrow("'count' is -1.");
    await expect(broker.take('dead', Number.NaN)).rejects.toThrow("'count' is NaN.");
    await expect(broker.take('dead', 1)).rejects.toThrow("no queue 'dead'");
  });

  it('rejects in time also when the broker has stopped meanwhile', async () => {
    broker = await TestBroker.start();
    await broker.engine.connect().declareQueue('dead');
    publish('dead', '1');
    const taking = broker.take('dead', 2, { timeout: 20 });
    await broker.stop();
    await expect(taking).rejects.toThrow("'dead' within 20 ms");
  });
});
