import 'reflect-metadata';
import { openSync, readFileSync, writeSync } from 'node:fs';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { type Link, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';

/**
 * The application that is killed while its handlers with deduplication and a schedule are busy. It writes the id of each
 * message that a handler has had to a file, with blocking writes, which survive a SIGKILL.
 *
 *     node inbox-worker.js DIRECTORY FIRST-NUMBER       publishes for ever, each number twice
 *     node inbox-worker.js DIRECTORY drain              handles what is left, then ends
 *     node inbox-worker.js DIRECTORY again              publishes again all that was handled, handles it, then ends
 */
const [directory = '', mode = ''] = process.argv.slice(2);
const handled = openSync(`${directory}/handled.txt`, 'a');
const IN_FLIGHT = 20;
const QUEUES = ['default', 'ticks'];

function record(context: QueueContext): void {
  writeSync(handled, `${context.messageId}\n`);
  process.stdout.write('handled\n');
}

@Controller()
class Services {
  @EventPattern<string>('number', { deduplication: true })
  async number(_data: unknown, @Ctx() context: QueueContext): Promise<void> {
    // A kill finds messages that are being handled, and messages that were.
    await new Promise(setImmediate);
    record(context);
  }
  @EventPattern<string>('tick', { schedule: '* * * * * *', deduplication: true, queue: 'ticks' })
  tick(_data: unknown, @Ctx() context: QueueContext): void {
    record(context);
  }
}

@Module({
  imports: [QueueModule.forRoot({ url: `file:${directory}/mq`, prefetchCount: IN_FLIGHT })],
  controllers: [Services],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'fatal'] });
const server = app.get(QueueServer);
app.connectMicroservice({ strategy: server }, { inheritAppConfig: true });
await app.startAllMicroservices();
const link = server.unwrap<Link>();
if (mode === 'drain' || mode === 'again') {
  if (mode === 'again') {
    const numbers = readFileSync(`${directory}/handled.txt`, 'utf8')
      .split('\n')
      .filter((id) => /^\d+$/.test(id));
    await Promise.all(numbers.map(publish));
  }
  await drain();
} else {
  for (let first = 0; first < IN_FLIGHT; first++) void publishForEver(Number(mode) + first);
}

function publish(messageId: string): Promise<void> {
  const properties = { messageId, deliveryMode: 2 };
  const message = { exchange: 'nestmq.events', routingKey: 'number', properties, body: Buffer.from('1') };
  return new Promise((resolve, reject) => {
    link.publish(message, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

async function publishForEver(first: number): Promise<void> {
  for (let number = first; ; number += IN_FLIGHT)
    for (let copy = 0; copy < 2; copy++) await publish(String(number));
}

/** Ends when nothing waits and nothing is in a handler. */
async function drain(): Promise<void> {
  for (;;) {
    const states = await Promise.all(QUEUES.map((queue) => link.queueState(queue)));
    if (states.every((state) => state?.ready === 0 && state.unsettled === 0)) break;
    await new Promise(setImmediate);
  }
  await app.close();
}
