import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { TestBroker } from '@nestmq/testing';
import { startRabbitMq } from '../../peers/rabbitmq.js';

const APPLICATION = 'integration/amqplib-application';
/** With the start of a RabbitMQ. */
const TESTS_MS_MAX = 120_000;
const RUN_MS_MAX = 30_000;

/** Runs the application's own tests as they are; resolves with what they print. */
function testsOn(url: string): Promise<string> {
  const args = ['--test', '--test-reporter=tap', `test/dist/${APPLICATION}/images.test.js`];
  const env = { PATH: process.env['PATH'], AMQP_URL: url };
  return new Promise((done) => {
    execFile(process.execPath, args, { env, timeout: RUN_MS_MAX }, (_error, stdout, stderr) =>
      done(`${stdout}${stderr}`),
    );
  });
}

/** Those that passed, by name. */
function passed(output: string): string[] {
  expect(output).toMatch(/^# fail 0$/m);
  return [...output.matchAll(/^ +ok \d+ - (.*)$/gm)].map(([, name]) => String(name));
}

describe('the tests of an amqplib application that was written for RabbitMQ', () => {
  it(
    'pass on RabbitMQ and on a TestBroker: only the URL is another one',
    async () => {
      const broker = await TestBroker.start({ listen: true });
      const onTestBroker = passed(await testsOn(broker.amqpUrl));
      await broker.stop();
      expect(onTestBroker).toHaveLength(8);
      const rabbit = await startRabbitMq();
      if (rabbit === undefined) return;
      const onRabbitMq = passed(await testsOn(rabbit.url));
      await rabbit.stop();
      expect(onRabbitMq).toEqual(onTestBroker);
    },
    TESTS_MS_MAX,
  );

  it('know nothing of this project', () => {
    const files = readdirSync(join('test', APPLICATION)).filter((name) => !name.endsWith('.spec.ts'));
    expect(files.length).toBeGreaterThan(3);
    for (const file of files)
      expect(readFileSync(join('test', APPLICATION, file), 'utf8')).not.toMatch(/nestmq|TestBroker/i);
  });

  it('fail where there is no broker', async () => {
    const broker = await TestBroker.start({ listen: true });
    const { amqpUrl } = broker;
    await broker.stop();
    expect(await testsOn(amqpUrl)).toMatch(/^# pass 0$/m);
  });
});
