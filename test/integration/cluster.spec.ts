import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { linkContract } from '@nestmq/transport/link-contract';
import { SILENT } from '../../packages/transport/src/links/contract/contract-support.js';
import { openLink } from '../../packages/transport/src/links/open-link.js';
import { normaliseQueueOptions } from '../../packages/transport/src/queue.options.js';
import { killLeader } from '../cluster/kill-leader.js';
import { type RabbitMqCluster, startRabbitMqCluster } from '../peers/rabbitmq-cluster.js';
import { startProxy } from '../peers/tcp-proxy.js';
import { featureContract } from './feature-contract.js';
import { FAST, proxiedHome, RABBITMQ, RUNNER } from './link-homes.js';

/** One for all of this file: it takes half a minute to start. */
let cluster: RabbitMqCluster | undefined;
beforeAll(async () => {
  cluster = await startRabbitMqCluster();
}, 180_000);
afterAll(() => cluster?.stop());

linkContract('a RabbitMQ cluster of three nodes', {
  runner: RUNNER,
  lacks: RABBITMQ,
  start: async () => {
    if (cluster === undefined) return undefined;
    const { nodes } = cluster;
    const proxies = await Promise.all(nodes.map(({ url }) => startProxy(Number(new URL(url).port))));
    return proxiedHome(proxies, {
      block: (blocked) => void nodes[0]?.ctl('set_vm_memory_high_watermark', blocked ? '0.00001' : '0.8'),
      stop: async () => {},
    });
  },
});

featureContract('a RabbitMQ cluster of three nodes', async () => {
  if (cluster === undefined) return undefined;
  return { options: { urls: cluster.nodes.map(({ url }) => url), amqp: FAST }, close: async () => {} };
});

describe('a RabbitMQ cluster whose node is killed', () => {
  it('loses nothing that was confirmed, and goes on by itself', async () => {
    if (cluster === undefined) return;
    const result = await killLeader({
      cluster,
      queue: 'killed',
      messages: 4000,
      open: (nodes) =>
        openLink(normaliseQueueOptions({ urls: nodes.map(({ url }) => url), amqp: FAST }), SILENT),
    });
    expect(result).toMatchObject({ confirmed: 4000, failed: {}, lost: 0 });
    // An election takes a few seconds; a minute would be a publisher that hangs until its timeout.
    expect(result.longestPauseMs).toBeLessThan(30_000);
  }, 120_000);
});
