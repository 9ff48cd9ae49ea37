import type { NormalisedQueueOptions } from '../queue.options.js';
import { leaseBroker } from './embedded-brokers.js';
import { EmbeddedLink } from './embedded.link.js';
import type { Link, LinkListener } from './link.js';

/** Opens the link that the options' URL names. Rejects as openBroker does. */
export async function openLink(
  { home, broker }: Pick<NormalisedQueueOptions, 'home' | 'broker'>,
  listener: LinkListener,
): Promise<Link> {
  return new EmbeddedLink(await leaseBroker(home, broker), listener);
}
