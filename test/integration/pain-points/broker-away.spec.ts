import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { createServer, type Server } from '@nestmq/broker';
import { QueueClient, QueueServer, QueueUnavailableException } from '@nestmq/transport';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import { Collector, type StartedApp, startApp, temporaryDirectory } from '../app.js';

const calls = new Collector<unknown>();

@Controller()
class Orders {
  @EventPattern('order.placed')
  placed(@Payload() n: number): void {
    calls.add(n);
  }
  @MessagePattern('order.get')
  get(@Payload() n: number): number {
    return n;
  }
}

const QUICK = { reconnect: { minDelay: 10, maxDelay: 20 } };

/** A port that is free now. */
async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a broker that goes away and comes back', () => {
  let directory: ReturnType<typeof temporaryDirectory>;
  let port: number;
  let url: string;
  let server: Server | undefined;
  let started: StartedApp | undefined;
  const open = async (): Promise<void> => {
    server = await createServer({ directory: directory.path, host: '127.0.0.1', port });
  };
  beforeEach(async () => {
    calls.items.length = 0;
    directory = temporaryDirectory();
    port = await freePort();
    url = `amqp://guest:guest@127.0.0.1:${port}`;
    await open();
    started = await startApp({ url, queue: 'orders', amqp: QUICK }, { controllers: [Orders] });
  });
  afterEach(async () => {
    await started?.app.close();
    await server?.close();
    directory.remove();
  });
  const events = (): { lost: Promise<void>; back: Promise<void> } => {
    const listen = (event: 'disconnect' | 'connect'): Promise<void> =>
      new Promise((resolve) => started?.server.on(event, () => resolve()));
    return { lost: listen('disconnect'), back: listen('connect') };
  };

  it('9. Bug: no connection to RabbitMQ: what is emitted while it is away waits, and nothing of it is lost', async () => {
    const client = (started as StartedApp).client;
    await client.connect();
    const { lost, back } = events();
    await server?.close();
    await lost;
    const emitted = [1, 2].map((n) =>
      lastValueFrom(client.emit('order.placed', n), { defaultValue: undefined }),
    );
    await open();
    await Promise.all([...emitted, back]);
    expect((await calls.until(2)).toSorted()).toEqual([1, 2]);
  });

  it('10. Reconnect faults: queues, bindings, consumers and replies are there again, time and again', async () => {
    const { client } = started as StartedApp;
    for (let round = 1; round <= 3; round++) {
      expect(await firstValueFrom(client.send('order.get', round))).toBe(round);
      const { lost, back } = events();
      await server?.close();
      await lost;
      await open();
      await back;
      await lastValueFrom(client.emit('order.placed', round), { defaultValue: undefined });
      await calls.until(round);
    }
    expect(await firstValueFrom(client.send('order.get', 4))).toBe(4);
    expect(calls.items).toEqual([1, 2, 3]);
  });
});

describe('a broker that is not there', () => {
  it('11. Start hangs or app crashes with broker away: it is waited for, and then there is an error that says so', async () => {
    const url = `amqp://guest:guest@127.0.0.1:${await freePort()}`;
    const server = new QueueServer({ url, amqp: { ...QUICK, connectionTimeout: 0 } });
    const error = await new Promise((called) => {
      server.listen(called);
    });
    expect(error).toBeInstanceOf(QueueUnavailableException);
    expect(String(error)).not.toContain('guest:guest');
    await server.close();
    const client = new QueueClient({ url, amqp: { ...QUICK, connectionTimeout: 0 } });
    await expect(firstValueFrom(client.send('order.get', 1))).rejects.toThrow(QueueUnavailableException);
    await expect(firstValueFrom(client.emit('order.placed', 1))).rejects.toThrow(QueueUnavailableException);
    await client.close();
  });

  it('11. … and one that comes while it is waited for is used', async () => {
    calls.items.length = 0;
    const port = await freePort();
    const url = `amqp://guest:guest@127.0.0.1:${port}`;
    const [{ app, client }, server] = await Promise.all([
      startApp({ url, queue: 'orders', amqp: QUICK }, { controllers: [Orders] }),
      createServer({ host: '127.0.0.1', port }),
    ]);
    expect(await firstValueFrom(client.send('order.get', 1))).toBe(1);
    await app.close();
    await server.close();
  });
});
