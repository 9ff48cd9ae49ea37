import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { freePorts } from '../../test/peers/rabbitmq.js';
import { runBuilt, type Running } from '../built.js';

// Several processes start one after the other, on a machine that may be busy.
jest.setTimeout(120_000);

describe('two processes', () => {
  let cwd: string;
  let started: Running[];
  let env: { PORT: string; AMQP_PORT: string };
  beforeEach(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'nestmq-photos-'));
    started = [];
    const [port, amqpPort] = await freePorts(2);
    env = { PORT: String(port), AMQP_PORT: String(amqpPort) };
  });
  afterEach(async () => {
    for (const { child, ended } of started) {
      child.kill('SIGTERM');
      await ended;
    }
    rmSync(cwd, { recursive: true, force: true });
  });

  const start = (file: string): Running => {
    const running = runBuilt(`08-two-processes/${file}`, [], { cwd, env });
    started.unshift(running);
    return running;
  };

  async function upload(photo: string): Promise<number> {
    const response = await fetch(`http://127.0.0.1:${env.PORT}/photos`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ photo }),
    });
    return response.status;
  }

  it('share the work by AMQP: what a killed worker had, the next one gets', async () => {
    await start('main.js').until('uploads at');
    const first = start('worker.js');
    await first.until('worker ready');
    expect(await upload('cat.jpg')).toBe(202);
    await first.until('scaling cat.jpg …');
    first.child.kill('SIGKILL');
    expect(await first.ended).toBe('SIGKILL');
    expect(await upload('dog.jpg')).toBe(202);

    const second = start('worker.js');
    await second.until('scaling cat.jpg, again …');
    await second.until('scaled cat.jpg');
    await second.until('scaled dog.jpg');
  });

  it('finish what they have begun when they are asked to end', async () => {
    await start('main.js').until('uploads at');
    const worker = start('worker.js');
    await worker.until('worker ready');
    await upload('cat.jpg');
    await worker.until('scaling cat.jpg …');
    worker.child.kill('SIGTERM');
    await worker.until('scaled cat.jpg');
    expect(await worker.ended).toBe('SIGTERM');
  });
});
