import type { Link } from './links/link.js';
import { openLink } from './links/open-link.js';
import type { LinkInit } from './links/own-link.js';
import { normaliseQueueOptions, type QueueOptions } from './queue.options.js';

/**
 * Opens the link that `QueueModule` would use for these options: to wrap it in one of your own, or to work without Nest. Who
 * opens it closes it. Rejects with QueueOptionsException for options that can't be meant, as `openBroker` does for an embedded
 * broker, and with QueueUnavailableException when a broker can't be reached.
 *
 * @publicApi
 */
export async function openQueueLink(
  options: Pick<QueueOptions, 'url' | 'urls' | 'amqp' | 'broker' | 'link'>,
  { listener, signal }: LinkInit,
): Promise<Link> {
  return openLink(normaliseQueueOptions(options), listener, signal);
}
