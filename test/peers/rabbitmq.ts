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

/**
 * Starts a RabbitMQ, installing it first where that can be done (Debian, as root), unless it shall not. Resolves with undefined, after a
 * line that says so, where there is none; with CI=true that is an error.
 */
export async function startRabbitMq({ installs = true } = {}): Promise<RabbitMq | undefined> {
  if (installs && !existsSync(SERVER)) install();
  if (existsSync(SERVER)) return start();
  const line =
    'RabbitMQ is not installed (apt-get install rabbitmq-server): what compares with it is skipped.';
  if (process.env['CI'] === 'true') throw new Error(line);
  process.stderr.write(`${line}\n`);
  return undefined;
}

function install(): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return;
  process.stderr.write('Installing rabbitmq-server …\n');
  // The package would start a service; a policy of its own for this one command keeps it from that.
  aptGet({ RUNLEVEL: '1' }, ['update'], ['install', '-y', '--no-install-recommends', 'rabbitmq-server']);
}

async function start(): Promise<RabbitMq> {
  const directory = mkdtempSync(join(tmpdir(), 'nestmq-rabbitmq-'));
  const [port, distributionPort, epmdPort] = await freePorts(3);
  const environment = {
    ...process.env,
    HOME: directory,
    RABBITMQ_NODENAME: `nestmq-${process.pid}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(distributionPort),
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_MNESIA_BASE: join(directory, 'mnesia'),
    RABBITMQ_LOG_BASE: join(directory, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(directory, 'pid'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(directory, 'enabled_plugins'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(directory, 'none'),
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
  const stop = async (): Promise<void> => {
    await end(server);
    spawnSync('epmd', ['-port', String(epmdPort), '-kill'], { stdio: 'ignore' });
    rmSync(directory, { recursive: true, force: true });
  };
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

async function freePorts(count: number): Promise<number[]> {
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
