import type { Channel } from 'amqplib';

export const JOBS = 'images';
export const QUEUE = 'images.resize';
export const RETRIES = 'images.resize.retry';
export const FAILED = 'images.resize.failed';
export const SIZES = 'images.sizes';

/** How long a job that has failed waits for its next attempt. Milliseconds. */
export const RETRY_DELAY_MS = 100;

/**
 * What a worker rejects goes to the queue of retries, where nobody consumes; when its time there is over, it goes back through
 * the exchange of jobs.
 */
export async function declare(channel: Channel): Promise<void> {
  await channel.assertExchange(JOBS, 'topic', { durable: true });
  await channel.assertQueue(QUEUE, {
    durable: true,
    deadLetterExchange: '',
    deadLetterRoutingKey: RETRIES,
    arguments: { 'x-queue-type': 'quorum' },
  });
  await channel.bindQueue(QUEUE, JOBS, 'image.*.uploaded');
  await channel.bindQueue(QUEUE, JOBS, 'image.retry');
  await channel.assertQueue(RETRIES, {
    durable: true,
    messageTtl: RETRY_DELAY_MS,
    deadLetterExchange: JOBS,
    deadLetterRoutingKey: 'image.retry',
  });
  await channel.assertQueue(FAILED, { durable: true });
  await channel.assertQueue(SIZES, { durable: false });
}
