import { type AMQPChannel, AMQPClient } from '@cloudamqp/amqp-client';
import type { LoadClient } from './amqp-load.js';
import { paced } from './paced.js';

/** What an application would do with a channel of @cloudamqp/amqp-client. */
export class CloudAmqpClient implements LoadClient {
  private constructor(
    private readonly connection: AMQPClient,
    private readonly channel: AMQPChannel,
  ) {}

  static async open(port: number): Promise<CloudAmqpClient> {
    const connection = new AMQPClient(`amqp://guest:guest@127.0.0.1:${port}`);
    await connection.connect();
    const channel = await connection.channel();
    await channel.confirmSelect();
    return new CloudAmqpClient(connection, channel);
  }

  async declare(queue: string, type?: string): Promise<void> {
    const args = type === undefined ? {} : { 'x-queue-type': type };
    await this.channel.queueDeclare(queue, { durable: true }, args);
  }

  async delete(queue: string): Promise<void> {
    await this.channel.queueDelete(queue);
  }

  publish(queue: string, bodyBytes: number, count: number, inFlight: number): Promise<void> {
    return paced(count, inFlight, (onConfirmed) => {
      const body = Buffer.alloc(bodyBytes, 'x');
      this.channel.basicPublish('', queue, body, { deliveryMode: 2 }).then(() => onConfirmed(), onConfirmed);
    });
  }

  async consume(queue: string, prefetch: number, onDeliveries: (count: number) => void): Promise<void> {
    await this.channel.basicQos(prefetch);
    await this.channel.basicConsume(queue, { noAck: false }, async (message) => {
      await message.ack();
      onDeliveries(1);
    });
  }

  async settled(): Promise<void> {
    await this.channel.basicQos(0);
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}
