import type { FieldTable } from '@nestmq/broker';
import { GIVEN_UP_EXCHANGE, REQUESTS_EXCHANGE } from '../envelope.js';

/** Takes what a broker has given up to the queue that is its routing key. */
export const LETTERS_EXCHANGE = 'nestmq.dead-letters';
/** Drops all that it gets: what goes nowhere would be kept, and hold up what is behind it. */
export const SINK_QUEUE = 'nestmq.sink';

/** A request that nobody has got in its caller's time. What waited for a delay expired too, but came from elsewhere. */
const EXPIRED_REQUEST: FieldTable = {
  'x-match': 'all-with-x',
  'x-first-death-reason': 'expired',
  'x-first-death-exchange': REQUESTS_EXCHANGE,
};

/** What the exchanges for what is given up need of a broker. All is durable. */
export interface GivenUpTopology {
  declareExchange(name: string, type: 'headers' | 'direct', args: FieldTable): Promise<unknown>;
  /** A queue with a time to live of 0; one that is there with other arguments will do. */
  declareSink(name: string): Promise<unknown>;
  bindQueue(queue: string, exchange: string, args: FieldTable): Promise<unknown>;
}

/**
 * Expired requests are dropped, since nobody waits for them any more; all else that a broker gives up is kept: headers can't
 * say "but for these", so that goes by the alternate exchange.
 */
export async function declareGivenUp(topology: GivenUpTopology): Promise<void> {
  await topology.declareExchange(LETTERS_EXCHANGE, 'direct', {});
  await topology.declareExchange(GIVEN_UP_EXCHANGE, 'headers', { 'alternate-exchange': LETTERS_EXCHANGE });
  await topology.declareSink(SINK_QUEUE);
  await topology.bindQueue(SINK_QUEUE, GIVEN_UP_EXCHANGE, EXPIRED_REQUEST);
}
