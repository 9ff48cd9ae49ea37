import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TestBroker } from '@nestmq/testing';
import { type ChannelModel, connect } from 'amqplib';

const NUMBERS = Array.from({ length: 50 }, (_, number) => number);

/** An AMQP client's tests, each on a broker of its own: what the time of this file tells. */
describe('fifty tests with amqplib, each on a fresh broker that listens', () => {
  let broker: TestBroker;
  let connection: ChannelModel;
  beforeEach(async () => {
    broker = await TestBroker.start({ listen: true });
    // Without it two packets of a handshake, and two of a close, wait for 40 ms of delayed acknowledgement each.
    connection = await connect(broker.amqpUrl, { noDelay: true });
  });
  afterEach(async () => {
    await connection.close();
    await broker.stop();
  });

  it.each(NUMBERS)('publishes, consumes and acks, and finds nothing of the others: %s', async (number) => {
    expect(broker.engine.queues()).toEqual([]);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('orders');
    const consumed = new Promise<string>((resolve) => {
      void channel.consume('orders', (message) => {
        if (message === null) return;
        channel.ack(message);
        resolve(message.content.toString());
      });
    });
    channel.sendToQueue('orders', Buffer.from(`order ${number}`), { persistent: true });
    await channel.waitForConfirms();
    expect(await consumed).toBe(`order ${number}`);
    await channel.close();
    expect(broker.messageCount('orders')).toBe(0);
  });
});
