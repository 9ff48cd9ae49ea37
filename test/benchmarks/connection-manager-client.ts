import { type AmqpConnectionManager, type ChannelWrapper, connect } from 'amqp-connection-manager';
import type { LoadClient } from './amqp-load.js';
import { paced } from './paced.js';

/** What an application would do with amqp-connection-manager, over amqplib. */
export class ConnectionManagerClient implements LoadClient {
  private constructor(
    private readonly connection: AmqpConnectionManager,
    private readonly channel: ChannelWrapper,
  ) {}

  static async open(port: number): Promise<ConnectionManagerClient> {
    const connection = connect([`amqp://guest:guest@127.0.0.1:${port}`]);
    const channel = connection.createChannel({ confirm: true });
    await channel.waitForConnect();
    return new ConnectionManagerClient(connection, channel);
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
      this.channel.publish('', queue, body, { persistent: true }).then(() => onConfirmed(), onConfirmed);
    });
  }

  async consume(queue: string, prefetch: number, onDeliveries: (count: number) => void): Promise<void> {
    await this.channel.consume(
      queue,
      (message) => {
        this.channel.ack(message);
        onDeliveries(1);
      },
      { prefetch },
    );
  }

  /** A cancelled consumer is not set up again when its queue is deleted. The channel answers in order. */
  async settled(): Promise<void> {
    await this.channel.cancelAll();
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}
