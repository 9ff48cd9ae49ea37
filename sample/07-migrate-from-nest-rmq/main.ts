import 'reflect-metadata';
import { createServer } from '@nestmq/broker';
import { run } from './run.js';

// A RabbitMQ's URL, or none: then a broker in this process, which takes both transports as RabbitMQ does.
const [, , url] = process.argv;
const server = url === undefined ? await createServer({ port: 0 }) : undefined;

for (const line of await run(url ?? `amqp://guest:guest@127.0.0.1:${server?.port}`)) console.log(line);
await server?.close();
