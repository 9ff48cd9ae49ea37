import type { INestApplication } from '@nestjs/common';
import { QueueClient } from '@nestmq/transport';
import { startShop } from './app.js';
import { importOrders } from './import-orders.js';
import type { SampleOptions } from './options.js';
import { showProgress } from './progress.js';
import { Shop, type Summary } from './shop.js';

/** Without any progress for so long, what is missing will not come. Milliseconds. */
const STALLED_MS = 30_000;

export interface ImportedShop {
  readonly app: INestApplication;
  readonly summary: Summary;
  /** Orders placed by this run; the others were there before. */
  readonly placedNow: number;
}

/** Starts the shop, places the orders, and resolves when all have come to their end. */
export async function runShop(
  options: Pick<SampleOptions, 'data' | 'orders' | 'url'>,
  output: NodeJS.WriteStream,
): Promise<ImportedShop> {
  const app = await startShop(options.data, options.url ?? `file:${options.data}/mq`);
  const shop = app.get(Shop);
  const progress = showProgress(output);
  const unsubscribe = shop.onChange(() => progress.update(shop.finishedCount, shop.placed.size));
  try {
    const placedNow = await importOrders(options.orders, shop, app.get(QueueClient));
    await allFinished(shop);
    return { app, summary: shop.summary(), placedNow };
  } catch (error) {
    await app.close();
    throw error;
  } finally {
    unsubscribe();
    progress.stop();
  }
}

/** Resolves when every placed order has come to its end, or nothing has moved for long: the summary tells which. */
function allFinished(shop: Shop): Promise<void> {
  return new Promise((resolve) => {
    let stalled: NodeJS.Timeout | undefined;
    const check = (): void => {
      clearTimeout(stalled);
      if (shop.finishedCount >= shop.placed.size && shop.summary().lost === 0) {
        unsubscribe();
        resolve();
      } else {
        stalled = setTimeout(() => {
          unsubscribe();
          resolve();
        }, STALLED_MS);
      }
    };
    const unsubscribe = shop.onChange(check);
    check();
  });
}

export function formatSummary(summary: Summary, placedNow: number): string {
  const rows = Object.entries(summary).map(
    ([name, count]) => `${name.padEnd(12)}${String(count).padStart(6)}`,
  );
  return [`placed now  ${String(placedNow).padStart(6)}`, ...rows].join('\n');
}
