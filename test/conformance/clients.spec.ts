import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Server } from '@nestmq/broker';
import { startServer } from '../amqp/server.js';
import { hasDebianPackages, succeeds } from '../peers/debian.js';
import { PYTHON } from '../peers/pika.js';
import { type RabbitMq, startRabbitMq } from '../peers/rabbitmq.js';

const run = promisify(execFile);

interface Client {
  readonly name: string;
  readonly isThere: () => boolean;
  /** Runs its program in clients/, which does what all of them do, by the client's own means. */
  readonly command: readonly [string, ...string[]];
}

const CLIENTS: readonly Client[] = [
  { name: 'amqplib', isThere: () => true, command: [process.execPath, 'amqplib.mjs'] },
  {
    name: 'pika',
    isThere: () => hasDebianPackages(['python3-pika'], () => succeeds(PYTHON, '-c', 'import pika')),
    command: [PYTHON, 'pika_session.py'],
  },
  {
    name: 'py-amqp',
    isThere: () => hasDebianPackages(['python3-amqp'], () => succeeds(PYTHON, '-c', 'import amqp')),
    command: [PYTHON, 'py_amqp_session.py'],
  },
  {
    name: 'bunny',
    isThere: () => hasDebianPackages(['ruby-bunny'], () => succeeds('ruby', '-r', 'bunny', '-e', '')),
    command: ['ruby', 'bunny.rb'],
  },
  {
    name: 'php-amqplib',
    isThere: () =>
      hasDebianPackages(['php-amqplib', 'php-cli'], () =>
        succeeds('php', '-r', "require 'PhpAmqpLib/autoload.php';"),
      ),
    command: ['php', 'php-amqplib.php'],
  },
];

/** As RabbitMQ 3.10.8 has it. */
const SESSION = `declared jobs: 0 messages, 0 consumers
confirmed 3
returned lost: 312 NO_ROUTE
received one=1 two=2 three=3
got three, redelivered: true
left 0
refused 404 NOT_FOUND - no queue 'jobs' in vhost '/'
closed
`;

let ours: Server;
let rabbitMq: RabbitMq | undefined;
beforeAll(async () => {
  ours = await startServer();
  rabbitMq = await startRabbitMq();
}, 90_000);
afterAll(async () => {
  await ours.close();
  await rabbitMq?.stop();
});

async function session({ command: [program, ...args] }: Client, port: string): Promise<string> {
  const { stdout, stderr } = await run(program, [...args, port], { cwd: 'test/conformance/clients' });
  return stdout + stderr;
}

describe.each(CLIENTS)('$name', (client) => {
  const isThere = client.isThere();

  it('publishes, consumes, settles and is refused as it is by RabbitMQ', async () => {
    if (!isThere) return;
    expect(await session(client, `${ours.port}`)).toBe(SESSION);
    if (rabbitMq !== undefined) expect(await session(client, new URL(rabbitMq.url).port)).toBe(SESSION);
  });
});

describe('the tools of rabbitmq-c', () => {
  const isThere = hasDebianPackages(['amqp-tools'], () => spawnSync('amqp-get', ['--help']).status === 0);
  /** Resolves with the output. */
  const tool = async (name: string, ...args: string[]): Promise<string> => {
    const { stdout } = await run(name, ['-u', `amqp://guest:guest@127.0.0.1:${ours.port}`, ...args]);
    return stdout;
  };

  it('declare, publish, get, consume and delete', async () => {
    if (!isThere) return;
    expect(await tool('amqp-declare-queue', '-q', 'tools', '-d')).toBe('tools\n');
    for (const body of ['one', 'two', 'three']) await tool('amqp-publish', '-r', 'tools', '-p', '-b', body);
    expect(await tool('amqp-get', '-q', 'tools')).toBe('one');
    expect(await tool('amqp-consume', '-q', 'tools', '-c', '1', 'cat')).toBe('two');
    expect(await tool('amqp-delete-queue', '-q', 'tools')).toBe('1\n');
    await expect(tool('amqp-get', '-q', 'tools')).rejects.toMatchObject({
      stderr: expect.stringContaining("NOT_FOUND - no queue 'tools' in vhost '/'"),
    });
  });
});
