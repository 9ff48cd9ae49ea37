import { type Destination, Exchange } from './exchange.js';
import type { Routable } from './message/copy-keys.js';
import { delayOf } from './message/delay.js';
import type { Target } from './queue/delay-queue.js';

/**
 * The queues that a message reaches from an exchange by its keys, each once. Every exchange on its way is visited once,
 * so that cycles end. One from which the message goes nowhere hands it to its alternate exchange, if that is there; an
 * exchange that it leads to is somewhere, even when nothing is bound to that. (RabbitMQ, "Exchange to Exchange Bindings"
 * and "Alternate Exchanges".) One that delays holds what has a delay: where it goes from there is seen then.
 */
export function routeOn(
  from: Exchange,
  keys: readonly string[],
  message: Routable,
  find: (name: string) => Exchange | undefined,
): ReadonlySet<Target> {
  const queues = new Set<Target>();
  const visited = new Set<Exchange>([from]);
  // Exchanges that are added meanwhile have their turn.
  for (const exchange of visited) {
    if (exchange.delays !== undefined && delayOf(message) > 0) {
      queues.add(exchange.delays);
      continue;
    }
    const destinations = destinationsOf(exchange, keys, message);
    if (destinations.length === 0) {
      const alternate = alternateOf(exchange, find);
      if (alternate !== undefined) visited.add(alternate);
    }
    for (const destination of destinations) {
      if (destination instanceof Exchange) visited.add(destination);
      else queues.add(destination);
    }
  }
  return queues;
}

function destinationsOf(exchange: Exchange, keys: readonly string[], message: Routable): Destination[] {
  const routedBy = exchange.kind.isByKey ? keys : keys.slice(0, 1);
  return routedBy.flatMap((key) => Array.from(exchange.route(key, message)));
}

/** The default exchange is none: queues are bound to it only for those who publish to it, as in RabbitMQ. */
function alternateOf(
  { alternate }: Exchange,
  find: (name: string) => Exchange | undefined,
): Exchange | undefined {
  return alternate === undefined || alternate === '' ? undefined : find(alternate);
}
