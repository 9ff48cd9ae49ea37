import 'reflect-metadata';
import { startHandlers } from '../start.js';
import { ThumbnailsController } from './thumbnails.controller.js';

const amqpPort = Number(process.env['AMQP_PORT'] ?? 5672);

await startHandlers({ url: `amqp://guest:guest@127.0.0.1:${amqpPort}`, queue: 'thumbnails' }, [
  ThumbnailsController,
]);
console.log('worker ready');
