import type { Clock } from '@nestmq/broker';
import { AmqpLink } from './amqp.link.js';
import { type EmbeddedBrokerOptions, leaseBroker } from './embedded-brokers.js';
import { EmbeddedLink } from './embedded.link.js';
import type { Home } from './home.js';
import type { Link, LinkListener } from './link.js';
import { openOwnLink } from './own-link.js';

export interface OpenLinkOptions {
  readonly home: Home;
  /** For an embedded broker. */
  readonly broker: EmbeddedBrokerOptions;
  readonly clock: Clock;
}

/** Opens the link that the options name. Rejects as openBroker, AmqpLink.open or openOwnLink do; `signal` makes the latter give up. */
export async function openLink(
  { home, broker, clock }: OpenLinkOptions,
  listener: LinkListener,
  signal?: AbortSignal,
): Promise<Link> {
  if ('link' in home) return openOwnLink(home.link, { listener, signal });
  if ('amqp' in home) return AmqpLink.open({ options: home.amqp, listener, clock, signal });
  return new EmbeddedLink(await leaseBroker(home, broker), listener);
}
