import type { Channel, ChannelModel, ConsumeMessage, XDeath } from 'amqplib';
import { FAILED, QUEUE } from './topology.js';

const ATTEMPTS = 3;

export type Handle = (job: unknown, attempt: number) => Promise<void>;

/** Takes jobs, so many at once. What fails comes again later, until it is kept among the failed. */
export async function startWorker(
  connection: ChannelModel,
  handle: Handle,
  prefetch: number,
): Promise<Channel> {
  const channel = await connection.createConfirmChannel();
  await channel.prefetch(prefetch);
  const settle = async (message: ConsumeMessage): Promise<void> => {
    const attempt = attemptOf(message);
    try {
      await handle(JSON.parse(message.content.toString()), attempt);
    } catch (error) {
      if (attempt < ATTEMPTS) return channel.nack(message, false, false);
      const headers = { error: (error as Error).message, attempts: attempt };
      channel.sendToQueue(FAILED, message.content, { ...message.properties, persistent: true, headers });
      await channel.waitForConfirms();
    }
    return channel.ack(message);
  };
  await channel.consume(QUEUE, (message) => {
    if (message !== null) void settle(message);
  });
  return channel;
}

/** 1 for the first: the broker counts in the header how often a queue has given it up. */
function attemptOf({ properties: { headers } }: ConsumeMessage): number {
  const deaths: XDeath[] = headers?.['x-death'] ?? [];
  return 1 + (deaths.find(({ queue, reason }) => queue === QUEUE && reason === 'rejected')?.count ?? 0);
}
