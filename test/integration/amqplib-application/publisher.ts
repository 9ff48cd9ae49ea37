import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { JOBS } from './topology.js';

/** Publishes jobs; each is confirmed by the broker. */
export class Publisher {
  readonly #returned = new Set<string>();

  private constructor(private readonly channel: ConfirmChannel) {
    channel.on('return', ({ properties }: { properties: { messageId: string } }) =>
      this.#returned.add(properties.messageId),
    );
  }

  static async open(connection: ChannelModel): Promise<Publisher> {
    return new Publisher(await connection.createConfirmChannel());
  }

  /** Resolves when the broker has it. Rejects when no queue wants it. */
  publish(key: string, job: object, messageId: string): Promise<void> {
    const body = Buffer.from(JSON.stringify(job));
    const options = { persistent: true, mandatory: true, contentType: 'application/json', messageId };
    return new Promise((resolve, reject) => {
      this.channel.publish(JOBS, key, body, options, (error: unknown) => {
        if (error instanceof Error) reject(error);
        // A message that is returned is confirmed after that.
        else if (this.#returned.delete(messageId)) reject(new Error(`Nobody wants '${key}'.`));
        else resolve();
      });
    });
  }

  close(): Promise<void> {
    return this.channel.close();
  }
}
