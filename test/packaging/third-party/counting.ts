/**
 * What others may write on the packages: a link and a store of their own, thin ones, which count, and for `broken` forget
 * something. Installed from tarballs beside nothing of ours.
 */
import type { MessageStore } from '@nestmq/broker';
import { type Link, type LinkFactory, openQueueLink } from '@nestmq/transport';

export const counts = new Map<string, number>();

/** As `target` is, counting the calls of each method; `overrides` go first. */
export function counting<T extends object>(target: T, overrides: Partial<T> = {}): T {
  return new Proxy(target, {
    get(_target, key) {
      const value: unknown = Reflect.get(key in overrides ? overrides : target, key);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        counts.set(String(key), (counts.get(String(key)) ?? 0) + 1);
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** Over a broker in memory; when it is `broken` its deliveries can't be acked. */
export function countingLink(name: string, broken: boolean): LinkFactory {
  return async (init) => {
    const link = await openQueueLink({ url: `memory:${name}` }, init);
    return counting(link, broken ? { consume: consumeWithoutAck(link) } : {});
  };
}

function consumeWithoutAck(link: Link): Link['consume'] {
  return async (queue, options) =>
    link.consume(queue, {
      ...options,
      onDelivery: (delivery) => options.onDelivery(Object.assign(delivery, { ack: () => {} })),
    });
}

/** Over another; when it is `broken` it forgets that messages were settled. */
export function countingStore(store: MessageStore, broken: boolean): MessageStore {
  return counting(store, broken ? { settle: () => {} } : {});
}
