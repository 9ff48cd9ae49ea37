import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { aptGet } from './debian.js';

/** A RabbitMQ of our own: own ports, own directory, gone afterwards. */
export interface RabbitMq {
  readonly url: string;
  readonly version: string;
  /** Of Erlang's process: what it takes is RabbitMQ's. */
  readonly pid: number;
  /** Runs `rabbitmqctl`; throws with what it said when it failed. */
  ctl(...args: readonly string[]): string;
  stop(): Promise<void>;
}

const SERVER = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const CTL = '/usr/lib/rabbitmq/bin/rabbitmqctl';
const START_MS_MAX = 60_000;

/** Starts a RabbitMQ, where there is one: see {@link hasRabbitMq}. */
export async function startRabbitMq(options: { installs?: boolean } = {}): Promise<RabbitMq | undefined> {
  return hasRabbitMq(options) ? start() : undefined;
}

/**
 * Whether RabbitMQ is installed; installs it first where that can be done (Debian, as root), unless it shall not. False, after a
 * line that says so, where there is none; with CI=true that is an error.
 */
export function hasRabbitMq({ installs = true }: { installs?: boolean } = {}): boolean {
  if (installs && !existsSync(SERVER)) install();
  if (existsSync(SERVER)) return true;
  const line =
    'RabbitMQ is not installed (apt-get install rabbitmq-server): what compares with it is skipped.';
  if (process.env['CI'] === 'true') throw new Error(line);
  process.stderr.write(`${line}\n`);
  return false;
}

function install(): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return;
  process.stderr.write('Installing rabbitmq-server …\n');
  // The package would start a service; a policy of its own for this one command keeps it from that.
  aptGet({ RUNLEVEL: '1' }, ['update'], ['install', '-y', '--no-install-recommends', 'rabbitmq-server']);
}

async function start(): Promise<RabbitMq> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-rabbitmq-'));
  const [epmdPort] = await freePorts(1);
  const removeAll = (): void => {
    stopEpmd(epmdPort as number);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const name = `nestmq-${process.pid}@localhost`;
    const node = await startNode({ name, directory, epmdPort: epmdPort as number });
    return {
      ...node,
      async stop() {
        await node.stop();
        removeAll();
      },
    };
  } catch (error) {
    removeAll();
    throw error;
  }
}

export interface NodeInit {
  /** Of the Erlang node. */
  readonly name: string;
  /** For its data, beside that of nodes of other names; its home, with Erlang's cookie in it. */
  readonly directory: string;
  readonly epmdPort: number;
  /** A configuration file. @default none */
  readonly config?: string;
}

/** Starts one RabbitMQ; `stop` leaves its directory and epmd as they are. */
export async function startNode({ name, directory, epmdPort, config }: NodeInit): Promise<RabbitMq> {
  const [port, distributionPort] = await freePorts(2);
  const environment = {
    ...process.env,
    HOME: directory,
    RABBITMQ_NODENAME: name,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(directory, `${name}.pid`),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: config ?? join(directory, 'none'),
  };
  // A group of its own: Erlang's helpers end with it.
  const server = spawn(SERVER, [], { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  let version = 'of unknown version';
  for (const stream of [server.stdout, server.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-20_000);
      version = /RabbitMQ\s+([\d.]+)/.exec(output)?.[1] ?? version;
    });
  }
  const stop = (): Promise<void> => end(server);
  try {
    await accepting(server, port as number, () => output);
  } catch (error) {
    await stop();
    throw error;
  }
  const pid = Number(readFileSync(environment.RABBITMQ_PID_FILE, 'utf8'));
  const ctl = (...args: readonly string[]): string => {
    const { status, stdout, stderr } = spawnSync(CTL, args, { env: environment, encoding: 'utf8' });
    if (status !== 0) throw new Error(`rabbitmqctl ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  return { url: `amqp://guest:guest@127.0.0.1:${port}`, version, pid, ctl, stop };
}

/** It is started by the first node that needs it, and outlives all of them. */
export function stopEpmd(port: number): void {
  spawnSync('epmd', ['-port', String(port), '-kill'], { stdio: 'ignore' });
}

async function accepting(server: ChildProcess, port: number, output: () => string): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  while (!(output().includes('Server startup complete') && (await answers(port)))) {
    if (server.exitCode !== null) throw new Error(`RabbitMQ ended with ${server.exitCode}:\n${output()}`);
    if (Date.now() > deadline) throw new Error(`RabbitMQ did not start in ${START_MS_MAX} ms:\n${output()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.pid === undefined) return Promise.resolve();
  const group = -server.pid;
  return new Promise((resolve) => {
    server.once('exit', () => resolve());
    process.kill(group, 'SIGTERM');
    // Erlang's orderly shutdown can hang on a loaded machine; the data is thrown away anyway.
    setTimeout(() => {
      if (server.exitCode === null && server.signalCode === null) process.kill(group, 'SIGKILL');
    }, 10_000).unref();
  });
}

export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  return Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          const address = server.address();
          server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
        }),
    ),
  );
}
