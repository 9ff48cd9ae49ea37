import type { NormalisedQueueOptions } from '../queue.options.js';
import { AmqpLink } from './amqp.link.js';
import { leaseBroker } from './embedded-brokers.js';
import { EmbeddedLink } from './embedded.link.js';
import type { Link, LinkListener } from './link.js';

/** Opens the link that the options' URL names. Rejects as openBroker does, or as AmqpLink.open, which `signal` makes give up. */
export async function openLink(
  { home, broker, clock }: Pick<NormalisedQueueOptions, 'home' | 'broker' | 'clock'>,
  listener: LinkListener,
  signal?: AbortSignal,
): Promise<Link> {
  if ('amqp' in home) return AmqpLink.open({ options: home.amqp, listener, clock, signal });
  return new EmbeddedLink(await leaseBroker(home, broker), listener);
}
