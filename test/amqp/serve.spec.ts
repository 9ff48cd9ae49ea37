import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'amqplib';
import { startServer } from './server.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'nestmq-serve-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Served {
  readonly process: ChildProcess;
  readonly url: string;
  readonly ended: Promise<string>;
}

function run(...args: string[]): { child: ChildProcess; ended: Promise<string>; output: () => string } {
  const child = spawn(process.execPath, ['packages/broker/dist/bin/nestmq.js', ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(`${code ?? signal}: ${output}`));
  });
  return { child, ended, output: () => output };
}

async function serve(...args: string[]): Promise<Served> {
  const { child, ended, output } = run('serve', '--port', '0', ...args);
  const ready = new Promise<void>((resolve) => {
    child.stdout?.on('data', () => output().includes('\n') && resolve());
  });
  await Promise.race([ready, ended]);
  const url = /^nestmq ready (amqp:\/\/127\.0\.0\.1:\d+)\n$/.exec(output())?.[1];
  if (url === undefined) throw new Error(`not ready: ${await ended}`);
  return { process: child, url, ended };
}

describe('nestmq serve', () => {
  it('keeps persistent messages, when it is asked to end and when it is killed', async () => {
    let served = await serve('--data', directory);
    const connection = await connect(served.url);
    const closed = new Promise<string>((resolve) =>
      connection.once('close', (error?: Error) => resolve(error?.message ?? '')),
    );
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('q');
    channel.sendToQueue('q', Buffer.from('1'), { persistent: true });
    await channel.waitForConfirms();
    served.process.kill('SIGTERM');
    expect(await closed).toContain(
      "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'",
    );
    expect(await served.ended).toMatch(/^0: /);

    served = await serve('--data', directory);
    const second = await connect(served.url);
    second.on('error', () => {});
    const publishing = await second.createConfirmChannel();
    publishing.sendToQueue('q', Buffer.from('2'), { persistent: true });
    await publishing.waitForConfirms();
    served.process.kill('SIGKILL');
    await served.ended;

    served = await serve('--data', directory);
    const third = await connect(served.url);
    const getting = await third.createChannel();
    const bodies = [await getting.get('q'), await getting.get('q')].map(
      (one) => one && one.content.toString(),
    );
    expect(bodies).toEqual(['1', '2']);
    await third.close();
    served.process.kill('SIGTERM');
    await served.ended;
  });

  it('says what is wrong: arguments, a port that is taken, a directory that is in use', async () => {
    expect(await run().ended).toContain('2: Usage: nestmq COMMAND\n\n  serve ');
    expect(await run('serve').ended).toBe('2: Give either --data DIR or --memory.\n');
    expect(await run('serve', 'x', '--memory').ended).toContain(
      '2: Give options only.\nUsage: nestmq serve [--data VALUE] [--memory] [--host VALUE] [--port VALUE] [--tls-cert VALUE]',
    );
    expect(await run('serve', '--memory', '--port', 'x').ended).toContain("2: --port is 'x'.");
    const server = await startServer();
    expect(await run('serve', '--memory', '--port', `${server.port}`).ended).toMatch(
      new RegExp(`^2: Port ${server.port} of '127.0.0.1' is taken\\. Give another`),
    );
    await server.close();
    const served = await serve('--data', directory);
    expect(await run('serve', '--data', directory, '--port', '0').ended).toMatch(/^2: .*directory/i);
    served.process.kill('SIGTERM');
    expect(await served.ended).toMatch(/^0: /);
  });
});
