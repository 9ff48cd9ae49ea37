import { expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { createServer, type UserDefinition } from '@nestmq/broker';
import { type Link, QueueHealthIndicator } from '@nestmq/transport';
import { firstValueFrom } from 'rxjs';
import { addUser } from '../amqp/server.js';
import { Collector, startApp } from './app.js';
import { FAST } from './link-homes.js';

@Controller()
class Doubler {
  @MessagePattern('double')
  double(n: number): number {
    return n * 2;
  }
}

it('an application whose login is refused for a while says so in its log, status and health, and goes on', async () => {
  const server = await createServer({ port: 0 });
  const { registry } = server.broker;
  for (const name of ['shop', 'other']) addUser(server, name);
  registry.setPermission('shop', '/', { configure: '.*', write: '.*', read: '.*' });
  const [before, other] = [...registry.users.values()] as [UserDefinition, UserDefinition];
  const started = await startApp(
    { url: `amqp://shop:shop@127.0.0.1:${server.port}`, queue: 'doubler', amqp: FAST },
    { controllers: [Doubler] },
  );
  const health = started.app.get(QueueHealthIndicator);
  const [errors, statuses] = [new Collector<string>(), new Collector<string>()];
  started.server.on('error', ({ message }) => errors.add(message));
  const watching = started.server.status.subscribe((status) => statuses.add(status));

  // Another password, of which nobody has told the application.
  registry.setUser('shop', other);
  server.broker.disconnectUsers('the password was changed');
  expect(await errors.until(1)).toEqual([expect.stringMatching(/refuses the login .*ACCESS_REFUSED/)]);
  expect(statuses.items).toEqual(['connected', 'disconnected']);
  expect(await health.isHealthy()).toMatchObject({
    queue: { status: 'down', message: expect.stringMatching(/^The broker is away: .*refuses the login/) },
  });
  const waiting = firstValueFrom(started.client.send('double', 21));

  registry.setUser('shop', before);
  expect(await waiting).toBe(42);
  expect(await statuses.until(3)).toEqual(['connected', 'disconnected', 'connected']);
  expect(started.server.unwrap<Link>().blocked).toBeUndefined();
  expect(await health.isHealthy()).toMatchObject({ queue: { status: 'up' } });
  watching.unsubscribe();
  await started.app.close();
  await server.close();
});
