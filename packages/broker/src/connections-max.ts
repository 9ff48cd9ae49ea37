import { readFileSync } from 'node:fs';
import type { Server as TcpServer, Socket } from 'node:net';
import { LIMITS } from './limits.js';

/** How many files this process may have open; undefined where the system does not tell. */
export function openFilesMax(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft);
  } catch {
    return undefined;
  }
}

/** So many connections that the journal can still open its files: a stranger who only connects must not stop it. */
export function connectionsMax(filesMax: number | undefined): number {
  const { connectionsMax: most, reservedFiles } = LIMITS;
  if (filesMax === undefined) return most;
  return Math.min(most, Math.max(filesMax - reservedFiles, Math.floor(filesMax / 2)));
}

/**
 * Lets listeners have so many connections together: those that are too many are closed as they come. Returns the sockets that
 * are open at any time, those whose TLS handshake is under way included.
 */
export function shareConnections(servers: readonly TcpServer[], max: number): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  const open = new Map<TcpServer, number>(servers.map((server) => [server, 0]));
  let all = 0;
  const count = (server: TcpServer, by: 1 | -1): void => {
    all += by;
    open.set(server, (open.get(server) ?? 0) + by);
    share();
  };
  const share = (): void => {
    // Zero would be no bound.
    for (const [server, own] of open) server.maxConnections = Math.max(1, max - (all - own));
  };
  for (const server of servers) {
    server.on('connection', (socket: Socket) => {
      count(server, 1);
      sockets.add(socket);
      socket.once('close', () => {
        count(server, -1);
        sockets.delete(socket);
      });
    });
  }
  share();
  return sockets;
}
