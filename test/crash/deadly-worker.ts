import 'reflect-metadata';
import { openSync, writeSync } from 'node:fs';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, Payload } from '@nestjs/microservices';
import { QueueAdmin, QueueClient, QueueModule, QueueServer } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';

/**
 * The application one of whose messages kills its process. It writes each message that a handler begins and ends with to a
 * file, with blocking writes, which survive a SIGKILL.
 *
 *     node deadly-worker.js DIRECTORY DELIVERY-LIMIT publish     publishes a report and jobs 1 to 6, and handles them
 *     node deadly-worker.js DIRECTORY DELIVERY-LIMIT             handles what is left, prints the dead letters, and ends
 */
const [directory = '', deliveryLimit = '', mode] = process.argv.slice(2);
const log = openSync(`${directory}/log.txt`, 'a');
const JOBS = [1, 2, 3, 4, 5, 6];
const DEADLY = 3;
/** Longer than the deadly one takes to kill: whoever begins together with it does not come to an end. Milliseconds. */
const WORK_MS = 50;
/** Longer than all that is handled before the deadly one, in another queue. Milliseconds. */
const REPORT_MS = 400;

@Controller()
class Jobs {
  @EventPattern<string>('job')
  async handle(@Payload() id: number): Promise<void> {
    writeSync(log, `begin ${id}\n`);
    await new Promise((resolve) => {
      if (id === DEADLY) setTimeout(() => process.kill(process.pid, 'SIGKILL'), WORK_MS / 5);
      else setTimeout(resolve, WORK_MS);
    });
    writeSync(log, `end ${id}\n`);
  }

  @EventPattern<string>('report', { queue: 'reports' })
  async report(@Payload() id: string): Promise<void> {
    writeSync(log, `begin ${id}\n`);
    await new Promise((resolve) => setTimeout(resolve, REPORT_MS));
    writeSync(log, `end ${id}\n`);
  }
}

@Module({
  imports: [
    QueueModule.forRoot({ url: `file:${directory}/mq`, queue: 'jobs', deliveryLimit: Number(deliveryLimit) }),
  ],
  controllers: [Jobs],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['fatal'] });
app.connectMicroservice({ strategy: app.get(QueueServer) });
await app.init();
if (mode === 'publish') {
  const client = app.get(QueueClient);
  await lastValueFrom(client.emit('report', 'report'), { defaultValue: undefined });
  for (const id of JOBS) await lastValueFrom(client.emit('job', id), { defaultValue: undefined });
}
await app.startAllMicroservices();
const admin = app.get(QueueAdmin);
for (;;) {
  const queues = await admin.queues();
  if (queues.every(({ depth }) => depth?.ready === 0 && depth.unsettled === 0)) break;
  await new Promise(setImmediate);
}
for (const queue of ['jobs', 'reports'])
  for (const { data, reason, error } of await admin.deadLetters(queue).list())
    process.stdout.write(`${JSON.stringify([data, reason, error?.message])}\n`);
await app.close();
