import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { generateOrders, toJsonLines } from './data/generate-orders.js';
import { Ledger } from './ledger.js';
import { parseOptions } from './options.js';
import type { OrderState } from './orders.module.js';
import { formatSummary, type ImportedShop, runShop } from './run.js';

const COUNT = 60;
const NEW_ORDER = {
  customer: { name: 'Ada Lovelace', email: 'ada@example.org', country: 'DE' },
  currency: 'EUR',
  lines: [{ sku: 'MUG-BLUE', name: 'Mug', unitPriceCents: 1450, quantity: 2 }],
  shipTo: { street: 'Hauptstraße 1', postcode: '10115', city: 'Berlin', country: 'DE' },
};

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-orders-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function run(): Promise<ImportedShop> {
  const orders = join(directory, 'orders-to-place.jsonl');
  writeFileSync(orders, toJsonLines(generateOrders(5, COUNT)));
  const output = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  return runShop({ data: join(directory, 'data'), orders }, output);
}

describe('the orders that come with the sample', () => {
  it('are those that the generator makes', () => {
    expect(readFileSync(resolve('sample/01-orders/data/orders.jsonl'), 'utf8')).toBe(
      toJsonLines(generateOrders()),
    );
    expect(generateOrders().length).toBeGreaterThanOrEqual(2000);
  });
});

describe('the shop', () => {
  it('invoices, ships and audits every order once, and places none again in a second run', async () => {
    const first = await run();
    await first.app.close();
    expect(first.placedNow).toBe(COUNT);
    expect(first.summary).toEqual({
      placed: COUNT,
      invoiced: COUNT,
      shipped: COUNT,
      audited: COUNT,
      redelivered: 0,
      lost: 0,
    });
    const second = await run();
    await second.app.close();
    expect(second.placedNow).toBe(0);
    expect(second.summary).toEqual(first.summary);
    expect(formatSummary(second.summary, 0)).toMatch(/^placed now +0\nplaced +60\n(.*\n)*lost +0$/);
  });

  it('counts an order as lost that has no parcel', async () => {
    const { app } = await run();
    await app.close();
    const parcels = join(directory, 'data', 'parcels.jsonl');
    writeFileSync(parcels, readFileSync(parcels, 'utf8').split('\n').slice(1).join('\n'));
    const { Shop } = await import('./shop.js');
    const shop = new Shop(join(directory, 'data'));
    expect(shop.summary()).toMatchObject({ shipped: COUNT - 1, lost: 1 });
    shop.onApplicationShutdown();
  });

  it('takes an order by HTTP and tells what became of it', async () => {
    const { app } = await run();
    await app.listen(0, '127.0.0.1');
    const url = `${await app.getUrl()}/orders`;
    const post = (body: unknown): Promise<Response> =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });

    const placed = await post(NEW_ORDER);
    expect(placed.status).toBe(202);
    const { id } = (await placed.json()) as { id: string };
    const state = async (): Promise<OrderState> =>
      (await fetch(`${url}/${id}`)).json() as Promise<OrderState>;
    let now = await state();
    while (now.parcel === null) now = await state();
    expect(now).toMatchObject({
      order: { id, currency: 'EUR' },
      invoice: { netCents: 2900, taxCents: 551, grossCents: 3451 },
      parcel: { orderId: id, city: 'Berlin' },
    });

    const bad = await post({ ...NEW_ORDER, lines: [{ ...NEW_ORDER.lines[0], quantity: 0 }] });
    expect([bad.status, ((await bad.json()) as { message: string }).message]).toEqual([
      400,
      'lines[0].quantity must be a whole number of at least 1',
    ]);
    expect((await fetch(`${url}/ord-none`)).status).toBe(404);
    await app.close();
  });
});

describe('a ledger', () => {
  it('keeps the first fact, and forgets a line that a crash has cut off', async () => {
    const file = join(directory, 'ledger.jsonl');
    const ledger = new Ledger<number>(file);
    await Promise.all([ledger.record('a', 1), ledger.record('b', 2)]);
    expect(await ledger.record('a', 3)).toBe(1);
    ledger.close();
    writeFileSync(file, `${readFileSync(file, 'utf8')}["c`);
    const again = new Ledger<number>(file);
    expect([...again.keys()]).toEqual(['a', 'b']);
    await again.record('c', 4);
    again.close();
    expect(new Ledger<number>(file).get('c')).toBe(4);
  });
});

describe('the options', () => {
  it('are refused when they can not be meant', () => {
    expect(() => parseOptions(['--port', 'x'])).toThrow("--port is 'x': give a number from 0 to 65535.");
    expect(() => parseOptions(['--onec'])).toThrow("Unknown option '--onec'");
    expect(parseOptions(['--help'])).toBe('help');
    expect(parseOptions(['--once'])).toMatchObject({ once: true, port: 3000 });
  });
});
