import { randomUUID } from 'node:crypto';
import type { Channel, ChannelModel, ConsumeMessage } from 'amqplib';
import { SIZES } from './topology.js';

const REPLIES = 'amq.rabbitmq.reply-to';
const ANSWER_MS_MAX = 500;

/** Answers how large an image is. */
export async function serveSizes(connection: ChannelModel, sizeOf: (name: string) => number): Promise<void> {
  const channel = await connection.createChannel();
  await channel.consume(SIZES, (request) => {
    if (request === null) return;
    const { replyTo, correlationId } = request.properties as { replyTo: string; correlationId: string };
    const answer = JSON.stringify(answerOf(() => sizeOf(request.content.toString())));
    channel.sendToQueue(replyTo, Buffer.from(answer), { correlationId });
    channel.ack(request);
  });
}

function answerOf(size: () => number): { size: number } | { error: string } {
  try {
    return { size: size() };
  } catch (error) {
    return { error: (error as Error).message };
  }
}

/** Asks, many at once, by RabbitMQ's direct reply-to. */
export class Sizes {
  readonly #waiting = new Map<string, (answer: { size?: number; error?: string }) => void>();

  private constructor(private readonly channel: Channel) {}

  static async open(connection: ChannelModel): Promise<Sizes> {
    const channel = await connection.createChannel();
    const sizes = new Sizes(channel);
    await channel.consume(REPLIES, (reply) => sizes.#answered(reply), { noAck: true });
    return sizes;
  }

  #answered(reply: ConsumeMessage | null): void {
    if (reply === null) return;
    const { correlationId } = reply.properties as { correlationId: string };
    this.#waiting.get(correlationId)?.(JSON.parse(reply.content.toString()) as object);
  }

  of(name: string): Promise<number> {
    const correlationId = randomUUID();
    return new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer')), ANSWER_MS_MAX);
      this.#waiting.set(correlationId, ({ size, error }) => {
        clearTimeout(timer);
        if (size === undefined) reject(new Error(error));
        else resolve(size);
      });
      const options = { replyTo: REPLIES, correlationId, expiration: ANSWER_MS_MAX };
      this.channel.sendToQueue(SIZES, Buffer.from(name), options);
    }).finally(() => this.#waiting.delete(correlationId));
  }
}
