import type { Clock } from '@nestmq/broker';
import { AmqpLink } from './amqp.link.js';
import { type EmbeddedBrokerOptions, leaseBroker } from './embedded-brokers.js';
import { EmbeddedLink } from './embedded.link.js';
import type { Home } from './home.js';
import type { Link, LinkListener } from './link.js';

export interface OpenLinkOptions {
  readonly home: Home;
  /** For an embedded broker. */
  readonly broker: EmbeddedBrokerOptions;
  readonly clock: Clock;
}

/** Opens the link that the options' URL names. Rejects as openBroker does, or as AmqpLink.open, which `signal` makes give up. */
export async function openLink(
  { home, broker, clock }: OpenLinkOptions,
  listener: LinkListener,
  signal?: AbortSignal,
): Promise<Link> {
  if ('amqp' in home) return AmqpLink.open({ options: home.amqp, listener, clock, signal });
  return new EmbeddedLink(await leaseBroker(home, broker), listener, clock);
}
