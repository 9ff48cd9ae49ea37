import 'reflect-metadata';
import { openSync, writeSync } from 'node:fs';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { leaseBroker, QueueClient, QueueContext, QueueModule, QueueServer } from '@nestmq/transport';

/**
 * The application that is killed. It emits numbers, 200 at a time, and handles them in two services; what was confirmed
 * and what was handled is written to two files with blocking writes, which survive a SIGKILL.
 *
 *     node application-worker.js DIRECTORY FIRST-NUMBER       publishes for ever
 *     node application-worker.js DIRECTORY drain              handles what is left, then ends
 */
const [directory = '', mode = ''] = process.argv.slice(2);
const confirmed = openSync(`${directory}/confirmed.txt`, 'a');
const handled = openSync(`${directory}/handled.txt`, 'a');
const IN_FLIGHT = 200;
const LOOK_EVERY_MS = 20;

function record(service: string, data: number, context: QueueContext): Promise<void> {
  // Some handlers take a while, so that a kill finds messages in every state.
  return new Promise((resolve) => {
    setTimeout(
      () => {
        writeSync(handled, `${service} ${data} ${context.redelivered ? 'r' : '-'}\n`);
        resolve();
      },
      data % 7 === 0 ? 3 : 0,
    );
  });
}

@Controller()
class Services {
  @EventPattern<string>('number.made', { queue: 'one' })
  one(@Payload() data: number, @Ctx() context: QueueContext): Promise<void> {
    return record('one', data, context);
  }
  @EventPattern<string>('number.*', { queue: 'two', retry: { attempts: 3 } })
  async two(@Payload() data: number, @Ctx() context: QueueContext): Promise<void> {
    if (data % 11 === 0 && context.attempt === 1) throw new Error('the first attempt fails');
    await record('two', data, context);
  }
}

@Module({
  imports: [
    QueueModule.forRoot({
      url: `file:${directory}/mq`,
      prefetchCount: 50,
      // Small segments: rolls and removals happen all the time.
      broker: { segmentBytesMax: 64 * 1024, cacheBytesMax: 64 * 1024 },
    }),
  ],
  controllers: [Services],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['error', 'fatal'] });
app.connectMicroservice({ strategy: app.get(QueueServer) }, { inheritAppConfig: true });
await app.startAllMicroservices();
process.stdout.write('ready\n');
if (mode === 'drain') await drain();
else publish(Number(mode));

/** Ends when nothing waits and nothing is in a handler: what is still lost then is lost. */
async function drain(): Promise<void> {
  const lease = await leaseBroker({ directory: `${directory}/mq` });
  const connection = lease.broker.connect();
  const left = (queue: string): number => {
    const { messageCount, unsettledCount } = connection.checkQueue(queue);
    return messageCount + unsettledCount;
  };
  // What failed once waits for its next attempt outside its queue.
  while (left('one') + left('two') + lease.broker.delayedCount() > 0) {
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_EVERY_MS);
    });
  }
  connection.close();
  await app.close();
  await lease.release();
}

function publish(first: number): void {
  const client = app.get(QueueClient);
  let next = first;
  const emit = (): void => {
    const number = next++;
    client.emit('number.made', number).subscribe({
      complete: () => {
        writeSync(confirmed, `${number}\n`);
        emit();
      },
      error: (error: unknown) => {
        throw error;
      },
    });
  };
  for (let i = 0; i < IN_FLIGHT; i++) emit();
}
