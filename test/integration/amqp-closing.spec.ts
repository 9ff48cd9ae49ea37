import { connect, createServer as createFront, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import { createServer, ManualClock, type Server, systemClock } from '@nestmq/broker';
import { QueueClient, QueueUnavailableException } from '@nestmq/transport';
import { lastValueFrom } from 'rxjs';
import { Heard } from '../../packages/transport/src/links/contract/contract-support.js';
import { openLink } from '../../packages/transport/src/links/open-link.js';
import { normaliseQueueOptions } from '../../packages/transport/src/queue.options.js';
import { addUser } from '../amqp/server.js';
import { startProxy, type TcpProxy } from '../peers/tcp-proxy.js';
import { Collector, startApp } from './app.js';
import { FAST } from './link-homes.js';

const toClose: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
});

async function startServer(): Promise<{ server: Server; proxy: TcpProxy }> {
  const server = await createServer({ port: 0 });
  toClose.push(() => server.close());
  const proxy = await startProxy(server.port);
  toClose.push(() => proxy.close());
  return { server, proxy };
}

const amqpOptions = ({ port }: Pick<TcpProxy, 'port'>, login = '') =>
  normaliseQueueOptions({ url: `amqp://${login}127.0.0.1:${port}`, amqp: FAST });

describe('closing an AMQP link', () => {
  it('leaves no connection behind when it comes back at that moment', async () => {
    const { server, proxy } = await startServer();
    addUser(server, 'someone');
    const permit = (configure: string): unknown =>
      server.broker.registry.setPermission('someone', '/', { configure, write: '.*', read: '.*' });
    permit('.*');
    const heard = new Heard();
    let resolveClosed!: (closed: Promise<void>) => void;
    const closed = new Promise<void>((resolve) => {
      resolveClosed = resolve;
    });
    const listener = {
      ...heard.listener,
      // What it had declared is refused: it is being set up.
      onError: (error: Error) => {
        heard.listener.onError(error);
        resolveClosed(link.close());
      },
    };
    const link = await openLink({ ...amqpOptions(proxy, 'someone:someone@'), clock: systemClock }, listener);
    await link.declareQueue('q');
    permit('^$');
    proxy.cut();
    await heard.until('disconnected');
    await closed;
    await proxy.idle();
    expect(heard.calls.filter((call) => call === 'connected')).toHaveLength(1);
  });

  it('comes to an end though the broker answers nothing any more', async () => {
    const { proxy } = await startServer();
    const clock = new ManualClock();
    const link = await openLink({ ...amqpOptions(proxy), clock }, new Heard().listener);
    proxy.freeze();
    const closed = link.close();
    clock.advance(5000);
    expect(await closed).toBeUndefined();
    await proxy.idle();
  });
});

describe('opening an AMQP link', () => {
  it('goes on when the first of its connections is lost before the second is there', async () => {
    const { server } = await startServer();
    const sockets: Socket[] = [];
    const front = createFront((socket) => {
      sockets.push(socket.on('error', () => {}));
      if (sockets.length === 2) sockets[0]?.resetAndDestroy();
      const upstream = connect(server.port, '127.0.0.1').on('error', () => {});
      socket.pipe(upstream).pipe(socket);
      // The second gets through once the first is known to be lost.
      if (sockets.length === 2) socket.unpipe(upstream);
      if (sockets.length === 2) sockets[0]?.on('close', () => setImmediate(() => socket.pipe(upstream)));
    });
    await new Promise<void>((resolve) => {
      front.listen(0, '127.0.0.1', resolve);
    });
    toClose.push(() => void front.close());
    const { port } = front.address() as { readonly port: number };
    const link = await openLink({ ...amqpOptions({ port }), clock: systemClock }, new Heard().listener);
    await link.declareQueue('q');
    expect(sockets.length).toBeGreaterThanOrEqual(4);
    await link.close();
  });
});

describe('closing while the broker is away from the beginning', () => {
  it('does not wait for it', async () => {
    const { proxy } = await startServer();
    proxy.refuse(true);
    const client = new QueueClient({ url: `amqp://127.0.0.1:${proxy.port}`, amqp: FAST });
    const connecting = client.connect().catch((error: unknown) => error);
    await proxy.refused(1);
    await client.close();
    expect(await connecting).toBeInstanceOf(QueueUnavailableException);
    expect(String(await connecting)).toContain('closed while it was connecting');
  });
});

describe('a listener of the server that throws', () => {
  it('does not keep the connection from coming back', async () => {
    const { proxy } = await startServer();
    const handled = new Collector<string>();

    @Controller()
    class Orders {
      @EventPattern<string>('order')
      order(data: string): void {
        handled.add(data);
      }
    }
    const url = `amqp://127.0.0.1:${proxy.port}`;
    const { app, server, client } = await startApp({ url, amqp: FAST }, { controllers: [Orders] });
    toClose.push(() => app.close());
    server.on('disconnect', () => {
      throw new Error('of a listener');
    });
    proxy.cut();
    await lastValueFrom(client.emit('order', 'a'), { defaultValue: undefined });
    expect(await handled.until(1)).toEqual(['a']);
  });
});
