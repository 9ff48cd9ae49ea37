import type { Clock } from '@nestmq/broker';
import { AmqpLink } from './amqp.link.js';
import { assertEmbeddedBrokerOptions, type EmbeddedBrokerOptions, leaseBroker } from './embedded-brokers.js';
import { EmbeddedLink } from './embedded.link.js';
import type { Home } from './home.js';
import type { Link, LinkListener } from './link.js';
import { openOwnLink } from './own-link.js';

export interface OpenLinkOptions {
  readonly home: Home;
  /** Used by an embedded broker, and checked in any case. */
  readonly broker: EmbeddedBrokerOptions;
  readonly clock: Clock;
}

/**
 * Opens the link that the options name. Rejects with INVALID_OPTION and as openBroker does, or as AmqpLink.open or openOwnLink, which
 * `signal` makes give up.
 */
export async function openLink(
  { home, broker, clock }: OpenLinkOptions,
  listener: LinkListener,
  signal?: AbortSignal,
): Promise<Link> {
  if ('link' in home) return openOwnLink(home.link, { listener, signal });
  if ('amqp' in home) {
    // Not used here; but what is wrong now would be found on the day when the URL is another one.
    assertEmbeddedBrokerOptions(broker);
    return AmqpLink.open({ options: home.amqp, listener, clock, signal });
  }
  return new EmbeddedLink(await leaseBroker(home, broker), listener, clock);
}
