import { type Channel, Connection } from 'rabbitmq-client';
import type { LoadClient } from './amqp-load.js';
import { paced } from './paced.js';

/** What an application would do with a channel of rabbitmq-client. */
export class RabbitMqClient implements LoadClient {
  private constructor(
    private readonly connection: Connection,
    private readonly channel: Channel,
  ) {}

  static async open(port: number): Promise<RabbitMqClient> {
    const connection = new Connection(`amqp://guest:guest@127.0.0.1:${port}`);
    const channel = await connection.acquire();
    await channel.confirmSelect();
    return new RabbitMqClient(connection, channel);
  }

  async declare(queue: string, type?: string): Promise<void> {
    const args: Record<string, unknown> = type === undefined ? {} : { 'x-queue-type': type };
    await this.channel.queueDeclare({ queue, durable: true, arguments: args });
  }

  async delete(queue: string): Promise<void> {
    await this.channel.queueDelete({ queue });
  }

  publish(queue: string, bodyBytes: number, count: number, inFlight: number): Promise<void> {
    return paced(count, inFlight, (onConfirmed) => {
      const body = Buffer.alloc(bodyBytes, 'x');
      this.channel
        .basicPublish({ routingKey: queue, durable: true }, body)
        .then(() => onConfirmed(), onConfirmed);
    });
  }

  async consume(queue: string, prefetch: number, onDeliveries: (count: number) => void): Promise<void> {
    await this.channel.basicQos({ prefetchCount: prefetch });
    await this.channel.basicConsume({ queue }, ({ deliveryTag }) => {
      this.channel.basicAck({ deliveryTag });
      onDeliveries(1);
    });
  }

  async settled(): Promise<void> {
    await this.channel.basicQos({ prefetchCount: 0 });
  }

  async close(): Promise<void> {
    await this.channel.close();
    await this.connection.close();
  }
}
