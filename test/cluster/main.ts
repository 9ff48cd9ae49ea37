import { parseArgs } from 'node:util';
import { QueueClient } from '@nestmq/transport';
import type { ClusterNode } from '../peers/rabbitmq-cluster.js';
import { startRabbitMqCluster } from '../peers/rabbitmq-cluster.js';
import { killLeader } from './kill-leader.js';

const { values } = parseArgs({ options: { messages: { type: 'string', default: '30000' } } });
const messages = Number(values.messages);
if (!Number.isInteger(messages) || messages < 2)
  throw new Error('--messages takes a whole number from 2 on.');

/** As an application has it: the link of a client. */
const open = (nodes: readonly ClusterNode[]): ReturnType<QueueClient['connect']> =>
  new QueueClient({ urls: nodes.map(({ url }) => url) }).connect();

const cluster = await startRabbitMqCluster();
if (cluster === undefined) throw new Error('There is no RabbitMQ to show it on.');
try {
  const result = await killLeader({ cluster, open, queue: 'killed', messages });
  console.log(JSON.stringify(result));
  if (result.lost > 0 || result.confirmed < messages) process.exitCode = 1;
} finally {
  await cluster.stop();
}
