import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { startRabbitMq } from '../../test/peers/rabbitmq.js';
import { runBuilt } from '../built.js';
import { printedIn } from '../printed.js';

const START_MS_MAX = 120_000;

it(
  'runs the shop of 01-orders on RabbitMQ, by its URL alone',
  async () => {
    const rabbit = await startRabbitMq();
    if (rabbit === undefined) return;
    const cwd = mkdtempSync(join(tmpdir(), 'nestmq-orders-rabbitmq-'));
    try {
      const orders = resolve('sample/01-orders/data/orders.jsonl');
      const args = ['--once', '--orders', orders, '--url', rabbit.url];
      const shop = runBuilt('01-orders/main.js', args, { cwd });
      const output = await shop.until('lost ');
      expect(await shop.ended).toBe(0);
      expect(output.trimEnd().split('\n').slice(-7)).toEqual(printedIn('02-rabbitmq'));
      expect(rabbit.ctl('list_queues', '-q', 'name', 'type')).toMatch(/^billing\tquorum$/m);
    } finally {
      await rabbit.stop();
      rmSync(cwd, { recursive: true, force: true });
    }
  },
  START_MS_MAX,
);
