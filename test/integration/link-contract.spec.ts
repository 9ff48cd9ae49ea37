import { createServer } from '@nestmq/broker';
import type { NormalisedQueueOptions } from '../../packages/transport/src/queue.options.js';
import { normaliseQueueOptions } from '../../packages/transport/src/queue.options.js';
import { openLink } from '../../packages/transport/src/links/open-link.js';
import { linkContract } from '../../packages/transport/src/links/link.suite.js';
import { type LinkHome, SILENT } from '../../packages/transport/src/links/link.suite.support.js';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { startProxy } from '../peers/tcp-proxy.js';
import { temporaryDirectory } from './app.js';

const FAST = { reconnect: { minDelay: 20, maxDelay: 200 }, connectionTimeout: '60s' } as const;

function homeOf(options: NormalisedQueueOptions, more: Omit<LinkHome, 'open'>): LinkHome {
  return { open: (listener) => openLink(options, { ...SILENT, ...listener }), ...more };
}

linkContract('memory', () => embedded('memory:contract', () => {}));

linkContract('file', () => {
  const { path, remove } = temporaryDirectory();
  return embedded(`file:${path}`, remove);
});

/** One link stays open: with the last one the broker would close. */
async function embedded(url: string, remove: () => void): Promise<LinkHome> {
  const options = normaliseQueueOptions({ url });
  const keeper = await openLink(options, SILENT);
  return homeOf(options, {
    async close() {
      await keeper.close();
      remove();
    },
  });
}

linkContract('our broker over TCP', async () => {
  const server = await createServer({ port: 0 });
  const proxy = await startProxy(server.port);
  return homeOf(normaliseQueueOptions({ url: `amqp://127.0.0.1:${proxy.port}`, amqp: FAST }), {
    cut: () => proxy.cut(),
    countsAll: true,
    async close() {
      await proxy.close();
      await server.close();
    },
  });
});

linkContract('RabbitMQ', async () => {
  const rabbitMq = await startRabbitMq();
  if (rabbitMq === undefined) return undefined;
  const proxy = await startProxy(Number(new URL(rabbitMq.url).port));
  return homeOf(normaliseQueueOptions({ url: `amqp://127.0.0.1:${proxy.port}`, amqp: FAST }), {
    cut: () => proxy.cut(),
    block: (blocked) => void rabbitMq.ctl('set_vm_memory_high_watermark', blocked ? '0.00001' : '0.8'),
    countsAll: true,
    sharesExclusive: true,
    async close() {
      await proxy.close();
      await rabbitMq.stop();
    },
  });
});
