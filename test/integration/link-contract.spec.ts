import { linkContract } from '@nestmq/transport/link-contract';
import { temporaryDirectory } from './app.js';
import { EMBEDDED, embeddedHome, RABBITMQ, rabbitMqHome, RUNNER, serverHome } from './link-homes.js';

linkContract('memory', {
  runner: RUNNER,
  lacks: EMBEDDED,
  start: async () => embeddedHome('memory:contract', () => {}),
});

linkContract('file', {
  runner: RUNNER,
  lacks: EMBEDDED,
  start: async () => {
    const { path, remove } = temporaryDirectory();
    return embeddedHome(`file:${path}`, remove);
  },
});

linkContract('our broker over TCP', { runner: RUNNER, start: serverHome });

linkContract('RabbitMQ', { runner: RUNNER, lacks: RABBITMQ, start: rabbitMqHome });
