import { randomUUID } from 'node:crypto';
import { createServer } from '@nestmq/broker';
import { QueueClient } from '@nestmq/transport';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { temporaryDirectory } from './app.js';
import { featureContract } from './feature-contract.js';

featureContract('memory', async () => {
  const options = { url: `memory:${randomUUID()}` };
  // It is there as long as somebody uses it.
  const keeper = new QueueClient(options);
  await keeper.connect();
  return { options, close: () => keeper.close() };
});

featureContract('file', async () => {
  const { path, remove } = temporaryDirectory();
  return { options: { url: `file:${path}/mq` }, close: async () => remove() };
});

featureContract('our broker by amqp', async () => {
  const server = await createServer({ port: 0 });
  return {
    options: { url: `amqp://guest:guest@127.0.0.1:${server.port}` },
    close: () => server.close(),
  };
});

featureContract('RabbitMQ', async () => {
  const rabbitMq = await startRabbitMq();
  if (rabbitMq === undefined) return undefined;
  return { options: { url: rabbitMq.url }, close: () => rabbitMq.stop() };
});
