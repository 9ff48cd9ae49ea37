import { linkContract } from '@nestmq/transport/link-contract';
import { startRabbitMq } from '../peers/rabbitmq.js';
import { startProxy } from '../peers/tcp-proxy.js';
import { temporaryDirectory } from './app.js';
import { EMBEDDED, embeddedHome, proxiedHome, RABBITMQ, RUNNER, serverHome } from './link-homes.js';

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

linkContract('RabbitMQ', {
  runner: RUNNER,
  lacks: RABBITMQ,
  start: async () => {
    const rabbitMq = await startRabbitMq();
    if (rabbitMq === undefined) return undefined;
    const proxy = await startProxy(Number(new URL(rabbitMq.url).port));
    return proxiedHome([proxy], {
      block: (blocked) => void rabbitMq.ctl('set_vm_memory_high_watermark', blocked ? '0.00001' : '0.8'),
      stop: () => rabbitMq.stop(),
    });
  },
});
