import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { pythonWithPika } from '../../test/peers/pika.js';
import { freePorts } from '../../test/peers/rabbitmq.js';
import { runBuilt, runCommand } from '../built.js';

const python = pythonWithPika();

it('handles what a Python program emits, and answers it', async () => {
  if (python === undefined) return;
  const cwd = mkdtempSync(join(tmpdir(), 'nestmq-polyglot-'));
  const [port] = await freePorts(1);
  const env = { AMQP_PORT: String(port) };
  const consumer = runBuilt('04-polyglot/main.js', [], { cwd, env });
  await consumer.until('AMQP on port');

  const producer = runCommand(python, ['-u', resolve('sample/04-polyglot/producer.py')], { env });
  await producer.until("the latest: {'sensor': 'attic', 'celsius': 22.5}");
  expect(await producer.ended).toBe(0);
  expect(await consumer.until('22.5 °C\n')).toBe(
    `AMQP on port ${port}\nattic: 20.5 °C\nattic: 21 °C\nattic: 22.5 °C\n`,
  );

  consumer.child.kill('SIGTERM');
  await consumer.ended;
  rmSync(cwd, { recursive: true });
});
