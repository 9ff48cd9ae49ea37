import { EventEmitter, once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be cut. */
export interface TcpProxy {
  readonly port: number;
  /** Cuts all connections, in the middle of whatever goes over them. */
  cut(): void;
  /** Cuts the connection that was made last. */
  cutLast(): void;
  /** From now on nobody gets through; or again. */
  refuse(refusing: boolean): void;
  /** Nothing comes through any more, though all stay connected. */
  freeze(): void;
  /** Resolves when nobody is connected. */
  idle(): Promise<void>;
  /** Resolves once so many have tried in vain. */
  refused(count: number): Promise<void>;
  close(): Promise<void>;
}

/** To a port of this machine. */
export async function startProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let isRefusing = false;
  const [refusals, ends] = [new EventEmitter(), new EventEmitter()];
  let refused = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    // That it is cut is no news.
    socket.on('error', () => {});
    socket.on('close', () => {
      sockets.delete(socket);
      ends.emit('end');
    });
  };
  const server = createServer((client) => {
    keep(client);
    if (isRefusing) {
      refused++;
      refusals.emit('refused');
      return client.destroy();
    }
    const upstream = connect(targetPort, '127.0.0.1');
    keep(upstream);
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    return upstream.on('close', () => client.destroy());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as { readonly port: number }).port,
    cut,
    cutLast: () => [...sockets].at(-1)?.destroy(),
    refuse(refusing) {
      isRefusing = refusing;
      if (refusing) cut();
    },
    freeze() {
      for (const socket of sockets) socket.unpipe().resume();
    },
    async idle() {
      while (sockets.size > 0) await once(ends, 'end');
    },
    async refused(count) {
      for (let missing = count - refused; missing > 0; missing--) await once(refusals, 'refused');
    },
    close: () =>
      new Promise((resolve) => {
        cut();
        server.close(() => resolve());
      }),
  };
}
