import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { RabbitMq } from '../peers/rabbitmq.js';

/** A server in a process of its own. */
export interface AmqpServer {
  readonly port: number;
  /** Of the process whose memory is the server's. */
  readonly pid: number;
  stop(): Promise<void>;
}

const BROKER = dirname(createRequire(import.meta.url).resolve('@nestmq/broker/package.json'));
const NESTMQ = join(BROKER, 'dist/bin/nestmq.js');

export interface ServeOptions {
  /** Given what it writes to its standard error. @default that of this process has it */
  readonly onError?: (text: string) => void;
}

/** `nestmq serve` on any free port; `--data DIR` or `--memory` are among the arguments. Rejects when it does not start. */
export async function serveNestmq(
  args: readonly string[],
  { onError = (text) => void process.stderr.write(text) }: ServeOptions = {},
): Promise<AmqpServer> {
  const child = spawn(process.execPath, [NESTMQ, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr.on('data', (chunk: Buffer) => onError(chunk.toString()));
  const exited = once(child, 'exit');
  const ready = new Promise<number>((resolve, reject) => {
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const port = /^nestmq ready amqp:\/\/127\.0\.0\.1:(\d+)\n/.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once('exit', (code) => reject(new Error(`nestmq serve ended with ${code}: ${output}`)));
  });
  const port = await ready;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  return { port, pid: child.pid as number, stop };
}

export function rabbitMqServer(rabbitMq: RabbitMq): AmqpServer {
  const { url, pid } = rabbitMq;
  return { port: Number(new URL(url).port), pid, stop: () => rabbitMq.stop() };
}

/** Resident memory of a process, now and at its highest, in bytes; undefined where the system does not tell. */
export function residentBytes(pid: number): { now: number; peak: number } | undefined {
  const path = `/proc/${pid}/status`;
  if (!existsSync(path)) return undefined;
  const status = readFileSync(path, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]);
  return { now: kib('VmRSS') * 1024, peak: kib('VmHWM') * 1024 };
}
