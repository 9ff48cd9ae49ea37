import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Server } from '@nestmq/broker';
import { startServer } from '../amqp/server.js';
import { SESSIONS } from '../amqp/sessions.js';
import { type RabbitMq, startRabbitMq } from '../peers/rabbitmq.js';

let rabbitMq: RabbitMq | undefined;
let server: Server;
beforeAll(async () => {
  server = await startServer();
  rabbitMq = await startRabbitMq();
  // How often letters are sent again: three minutes are long.
  rabbitMq?.ctl('eval', 'application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 500).');
}, 90_000);
afterAll(async () => {
  await server.close();
  await rabbitMq?.stop();
});

describe('RabbitMQ and this do the same with', () => {
  it.each(SESSIONS)('$what', async ({ session }) => {
    const here = await session(server.port);
    expect(here.length).toBeGreaterThan(1);
    if (rabbitMq === undefined) return;
    expect(here).toEqual(await session(Number(new URL(rabbitMq.url).port)));
  });
});
