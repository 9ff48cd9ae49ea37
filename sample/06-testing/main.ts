import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { NestFactory } from '@nestjs/core';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { QueueServer } from '@nestmq/transport';
import { until } from '../waiting.js';
import { Desk } from './desk.js';
import { Outside } from './ferry.js';
import { FerryModule } from './ferry.module.js';
import type { Terminal } from './terminal.js';

const app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(FerryModule, {
  useFactory: (server: QueueServer) => ({ strategy: server }),
  inject: [QueueServer],
  logger: ['warn', 'error', 'fatal'],
});
app.enableShutdownHooks();
await app.listen();

const desk = app.get(Desk);
const { lines } = app.get<Terminal>(Outside);
const hold = await desk.book('Ada');
console.log(`desk: seat ${hold.seat} is held for Ada`);
await desk.paid({ reference: randomUUID(), hold });
await until(() => lines.length === 3);
await desk.boarded(hold);
await until(() => lines.length === 4);
await app.close();
