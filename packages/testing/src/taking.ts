import type { Connection, Delivery, Message } from '@nestmq/broker';

/**
 * The first `count` messages of a queue, acked when all are there. Rejects when they do not come in time; those that have come
 * go back to their places.
 */
export function takenFrom(
  connection: Connection,
  queue: string,
  count: number,
  timeoutMs: number,
): Promise<readonly Message[]> {
  if (count === 0) return Promise.resolve([]);
  return new Promise((resolve, reject) => {
    const taken: Delivery[] = [];
    const consumer = connection.consume(queue, {
      prefetchCount: count,
      onDelivery: (delivery) => {
        taken.push(delivery);
        if (taken.length < count) return;
        clearTimeout(timer);
        connection.cancel(consumer);
        for (const one of taken) one.ack();
        resolve(taken.map(({ message }) => message));
      },
    });
    const timer = setTimeout(() => {
      connection.cancel(consumer);
      for (const one of taken) one.requeue({ failed: false });
      reject(
        new Error(
          `Expected ${count} message(s) in the queue '${queue}' within ${timeoutMs} ms, but there are ${taken.length}.`,
        ),
      );
    }, timeoutMs);
  });
}
