import { DELIVERY_MODE_PERSISTENT, type Message } from '@nestmq/broker';
import type { Link } from '@nestmq/transport';
import type { ClusterNode, RabbitMqCluster } from '../peers/rabbitmq-cluster.js';

const IN_FLIGHT = 500;
const BODY_BYTES = 256;

export interface KillLeaderInit {
  readonly cluster: RabbitMqCluster;
  /** Opens a link that tries the nodes in this order. */
  readonly open: (nodes: readonly ClusterNode[]) => Promise<Link>;
  readonly queue: string;
  readonly messages: number;
}

export interface KillLeaderResult {
  readonly confirmed: number;
  /** Why publishes failed, and how many: the publisher was told. */
  readonly failed: Readonly<Record<string, number>>;
  /** Confirmed, and never handed out. */
  readonly lost: number;
  /** Handed out more than once. */
  readonly repeated: number;
  /** Between two confirms, in milliseconds. */
  readonly longestPauseMs: number;
}

/**
 * Publishes to a quorum queue with confirms, kills the node of its leader, to which the publisher is connected, when half of it
 * is confirmed, and reads everything back.
 */
export async function killLeader({
  cluster,
  open,
  queue,
  messages,
}: KillLeaderInit): Promise<KillLeaderResult> {
  const declaring = await open(cluster.nodes);
  await declaring.declareQueue(queue);
  await declaring.close();
  const leader = cluster.leaderOf(queue);
  const others = cluster.nodes.filter((node) => node !== leader);
  const link = await open([leader, ...others]);
  const published = await publishAll(link, { queue, messages, onHalf: () => leader.kill() });
  await link.close();
  const reader = await open(others);
  const seen = await readAll(reader, queue);
  await reader.close();
  const { confirmed, failed, longestPauseMs } = published;
  return {
    confirmed: confirmed.size,
    failed,
    lost: [...confirmed].filter((id) => !seen.has(id)).length,
    repeated: [...seen.values()].filter((times) => times > 1).length,
    longestPauseMs,
  };
}

interface Load {
  readonly queue: string;
  readonly messages: number;
  readonly onHalf: () => void;
}

async function publishAll(
  link: Link,
  { queue, messages, onHalf }: Load,
): Promise<Pick<KillLeaderResult, 'failed' | 'longestPauseMs'> & { readonly confirmed: Set<string> }> {
  const confirmed = new Set<string>();
  const failed: Record<string, number> = {};
  let [sent, ended, longestPauseMs, lastAt] = [0, 0, 0, performance.now()];
  await new Promise<void>((resolve) => {
    const fill = (): void => {
      for (; sent < messages && sent - ended < IN_FLIGHT; sent++) {
        const id = String(sent);
        link.publish(messageTo(queue, id), (error) => onEnd(id, error));
      }
    };
    const onEnd = (id: string, error: Error | undefined): void => {
      const now = performance.now();
      longestPauseMs = Math.max(longestPauseMs, now - lastAt);
      lastAt = now;
      if (error === undefined) confirmed.add(id);
      else failed[error.message] = (failed[error.message] ?? 0) + 1;
      if (++ended === Math.floor(messages / 2)) onHalf();
      if (ended === messages) resolve();
      else fill();
    };
    fill();
  });
  return { confirmed, failed, longestPauseMs: Math.round(longestPauseMs) };
}

const END = 'end';

/** How often each message was handed out, up to one that is published after all of them. */
async function readAll(link: Link, queue: string): Promise<Map<string, number>> {
  const seen = new Map<string, number>();
  await new Promise<void>((resolve, reject) => {
    const options = {
      prefetchCount: 1000,
      noAck: false,
      onDelivery: (delivery: Parameters<Parameters<Link['consume']>[1]['onDelivery']>[0]) => {
        const id = delivery.message.properties.messageId ?? '';
        delivery.ack();
        if (id === END) resolve();
        else seen.set(id, (seen.get(id) ?? 0) + 1);
      },
      onCancel: () => reject(new Error(`The consumer of '${queue}' was cancelled.`)),
    };
    link.consume(queue, options).catch(reject);
    link.publish(messageTo(queue, END), (error) => {
      if (error !== undefined) reject(error);
    });
  });
  await link.flush();
  return seen;
}

function messageTo(queue: string, messageId: string): Message {
  const properties = { deliveryMode: DELIVERY_MODE_PERSISTENT, messageId };
  return { exchange: '', routingKey: queue, properties, body: Buffer.alloc(BODY_BYTES, 'x') };
}
