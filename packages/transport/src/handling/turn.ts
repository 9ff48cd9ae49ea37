import { DELIVERY_MODE_PERSISTENT } from '@nestmq/broker';
import type { Link, LinkDelivery } from '../links/link.js';
import { published } from './published.js';

/**
 * Does `work` while no other instance does such work: the queue has one active consumer at a time, and whose consumer
 * gets its token has the turn. With several tokens it is the same. Rejects as `work` does, and when the connection is lost
 * in the middle: another instance may have begun by then.
 */
export async function inTurn<T>(link: Link, queue: string, work: () => Promise<T>): Promise<T> {
  // A token that another instance holds is not ready: then there are two, and the consumer that gets both keeps one.
  if ((await link.queueState(queue))?.ready === 0) await published(link, tokenOf(queue));
  const tokens: LinkDelivery[] = [];
  let begin!: () => void;
  let fail!: (error: Error) => void;
  const turn = new Promise<void>((resolve) => (begin = resolve));
  const lost = new Promise<never>((_, reject) => (fail = reject));
  // Nobody may be waiting for it any more.
  lost.catch(() => undefined);
  const subscription = await link.consume(queue, {
    prefetchCount: 0,
    noAck: false,
    onDelivery: (token) => {
      tokens.push(token);
      begin();
    },
    onCancel: () => fail(new Error(`The queue '${queue}' was deleted.`)),
    onLost: () => fail(new Error(`The connection was lost while the token of '${queue}' was held.`)),
  });
  try {
    await Promise.race([turn, lost]);
    return await Promise.race([work(), lost]);
  } finally {
    subscription.cancel();
    giveOn(tokens);
  }
}

function giveOn(tokens: readonly LinkDelivery[]): void {
  const [token, ...others] = tokens;
  for (const other of others) other.ack();
  token?.requeue({ failed: false });
}

function tokenOf(queue: string): Parameters<Link['publish']>[0] {
  const properties = { deliveryMode: DELIVERY_MODE_PERSISTENT };
  return { exchange: '', routingKey: queue, properties, body: Buffer.alloc(0) };
}
