import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { QueueModule } from '@nestmq/transport';
import { UploadsController } from './uploads.controller.js';

const amqpPort = Number(process.env['AMQP_PORT'] ?? 5672);

/** The process that has the broker: on its disk, and open to others of this machine. It handles nothing itself. */
@Module({
  imports: [QueueModule.forRoot({ url: 'file:./data/photos', broker: { listen: { port: amqpPort } } })],
  controllers: [UploadsController],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error', 'fatal'] });
app.enableShutdownHooks();
await app.listen(process.env['PORT'] ?? 3000, '127.0.0.1');
console.log(`uploads at ${await app.getUrl()}/photos, AMQP on port ${amqpPort}`);
