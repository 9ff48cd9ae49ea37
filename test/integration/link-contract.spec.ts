import { linkContract } from '../../packages/transport/src/links/link.suite.js';
import { temporaryDirectory } from './app.js';
import { EMBEDDED, embeddedHome, OVER_TCP, RABBITMQ, rabbitMqHome, serverHome } from './link-homes.js';

linkContract('memory', EMBEDDED, () => embeddedHome('memory:contract', () => {}));

linkContract('file', EMBEDDED, () => {
  const { path, remove } = temporaryDirectory();
  return embeddedHome(`file:${path}`, remove);
});

linkContract('our broker over TCP', OVER_TCP, serverHome);

linkContract('RabbitMQ', RABBITMQ, rabbitMqHome);
