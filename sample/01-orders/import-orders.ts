import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { QueueClient } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { EVENT, type Order } from './order.js';
import type { Shop } from './shop.js';

/** Orders that are emitted and not yet confirmed. */
const IN_FLIGHT_MAX = 200;

/**
 * Places the orders of a JSON Lines file, but for those placed before, and resolves with how many. A crash between an
 * emit and its note in the ledger places the order twice: its id tells the services.
 */
export async function importOrders(file: string, shop: Shop, queue: QueueClient): Promise<number> {
  const inFlight = new Set<Promise<void>>();
  let placed = 0;
  for await (const line of createInterface({ input: createReadStream(file) })) {
    const order = JSON.parse(line) as Order;
    if (shop.placed.has(order.id)) continue;
    const one = place(order, shop, queue).finally(() => inFlight.delete(one));
    inFlight.add(one);
    placed++;
    if (inFlight.size >= IN_FLIGHT_MAX) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  return placed;
}

async function place(order: Order, shop: Shop, queue: QueueClient): Promise<void> {
  await lastValueFrom(queue.emit(EVENT.placed, order));
  await shop.placed.record(order.id, true);
}
