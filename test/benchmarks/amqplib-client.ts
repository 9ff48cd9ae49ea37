import { type ChannelModel, type ConfirmChannel, connect } from 'amqplib';
import type { LoadClient } from './amqp-load.js';
import { paced } from './paced.js';

/** What an application would do with amqplib: a buffer and an options object a message, one ack a delivery. */
export class AmqplibClient implements LoadClient {
  private constructor(
    private readonly connection: ChannelModel,
    private readonly channel: ConfirmChannel,
  ) {}

  static async open(port: number): Promise<AmqplibClient> {
    const connection = await connect(`amqp://guest:guest@127.0.0.1:${port}`);
    return new AmqplibClient(connection, await connection.createConfirmChannel());
  }

  async declare(queue: string, type?: string): Promise<void> {
    const args = type === undefined ? {} : { arguments: { 'x-queue-type': type } };
    await this.channel.assertQueue(queue, { durable: true, ...args });
  }

  async delete(queue: string): Promise<void> {
    await this.channel.deleteQueue(queue);
  }

  publish(queue: string, bodyBytes: number, count: number, inFlight: number): Promise<void> {
    return paced(count, inFlight, (onConfirmed) => {
      const body = Buffer.alloc(bodyBytes, 'x');
      this.channel.publish('', queue, body, { persistent: true }, onConfirmed);
    });
  }

  async consume(queue: string, prefetch: number, onDeliveries: (count: number) => void): Promise<void> {
    await this.channel.prefetch(prefetch);
    await this.channel.consume(queue, (message) => {
      // Its queue is deleted when all is done.
      if (message === null) return;
      this.channel.ack(message);
      onDeliveries(1);
    });
  }

  async settled(): Promise<void> {
    await this.channel.prefetch(0);
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}
