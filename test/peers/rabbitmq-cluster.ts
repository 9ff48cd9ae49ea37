import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, hasRabbitMq, type NodeInit, type RabbitMq, startNode, stopEpmd } from './rabbitmq.js';

export interface ClusterNode extends RabbitMq {
  readonly name: string;
  /** Ends it with SIGKILL, as a machine that fails would. */
  kill(): void;
}

/** A cluster of our own: own ports, epmd and directory, gone afterwards. */
export interface RabbitMqCluster {
  readonly nodes: readonly ClusterNode[];
  /** The node where a quorum queue has its leader. */
  leaderOf(queue: string): ClusterNode;
  stop(): Promise<void>;
}

const NODES = 3;

/** Starts a cluster of three nodes, which takes about half a minute. Resolves with undefined as startRabbitMq does. */
export async function startRabbitMqCluster(): Promise<RabbitMqCluster | undefined> {
  return hasRabbitMq() ? start() : undefined;
}

async function start(): Promise<RabbitMqCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-cluster-'));
  const [epmdPort] = await freePorts(1);
  const names = Array.from({ length: NODES }, (_, i) => `nestmq-${process.pid}-${i + 1}@localhost`);
  const config = join(directory, 'rabbitmq.conf');
  // All have the same home, hence the same cookie.
  writeFileSync(join(directory, '.erlang.cookie'), 'NESTMQTESTS', { mode: 0o400 });
  writeFileSync(config, configurationOf(names));
  const inits = names.map((name): NodeInit => ({ name, directory, epmdPort: epmdPort as number, config }));
  const nodes: ClusterNode[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.stop()));
    stopEpmd(epmdPort as number);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const [first, ...others] = inits as [NodeInit, ...NodeInit[]];
    // The others find it, and join.
    nodes.push(asClusterNode(first.name, await startNode(first)));
    for (const other of await Promise.all(others.map(startNamed))) nodes.push(other);
    nodes[0]?.ctl('await_online_nodes', String(NODES));
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, leaderOf: (queue) => leaderOf(nodes, queue), stop };
}

async function startNamed(init: NodeInit): Promise<ClusterNode> {
  return asClusterNode(init.name, await startNode(init));
}

function asClusterNode(name: string, node: RabbitMq): ClusterNode {
  return { ...node, name, kill: () => process.kill(node.pid, 'SIGKILL') };
}

/** RabbitMQ's "cluster formation" guide; clients may log in as guest from this machine. */
function configurationOf(names: readonly string[]): string {
  const nodes = names.map((name, i) => `cluster_formation.classic_config.nodes.${i + 1} = ${name}`);
  return ['cluster_formation.peer_discovery_backend = classic_config', ...nodes, ''].join('\n');
}

function leaderOf(nodes: readonly ClusterNode[], queue: string): ClusterNode {
  const alive = nodes.find((node) => isRunning(node.pid));
  const lines = alive?.ctl('list_queues', '--quiet', '--no-table-headers', 'name', 'leader') ?? '';
  const [, leader] =
    lines
      .split('\n')
      .map((line) => line.split('\t'))
      .find(([name]) => name === queue) ?? [];
  const node = nodes.find(({ name }) => name === leader);
  if (node === undefined) throw new Error(`The queue '${queue}' has no leader in:\n${lines}`);
  return node;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // There is no such process any more.
    return false;
  }
}
