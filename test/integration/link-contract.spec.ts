import { linkContract } from '../../packages/transport/src/links/link.suite.js';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { startProxy } from '../peers/tcp-proxy.js';
import { temporaryDirectory } from './app.js';
import { EMBEDDED, embeddedHome, OVER_TCP, proxiedHome, RABBITMQ, serverHome } from './link-homes.js';

linkContract('memory', EMBEDDED, () => embeddedHome('memory:contract', () => {}));

linkContract('file', EMBEDDED, () => {
  const { path, remove } = temporaryDirectory();
  return embeddedHome(`file:${path}`, remove);
});

linkContract('our broker over TCP', OVER_TCP, serverHome);

linkContract('RabbitMQ', RABBITMQ, async () => {
  const rabbitMq = await startRabbitMq();
  if (rabbitMq === undefined) return undefined;
  const proxy = await startProxy(Number(new URL(rabbitMq.url).port));
  return proxiedHome([proxy], {
    block: (blocked) => void rabbitMq.ctl('set_vm_memory_high_watermark', blocked ? '0.00001' : '0.8'),
    stop: () => rabbitMq.stop(),
  });
});
