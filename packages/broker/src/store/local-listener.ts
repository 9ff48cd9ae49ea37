import * as net from 'node:net';
import { systemCodeOf } from '../errors.js';

/**
 * Listens on a socket's path, an abstract socket or a named pipe. Rejects with the system's error: EADDRINUSE when the name
 * is taken. Does not keep the process alive.
 */
export function listen(name: string): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    // Nobody has business here yet: being answered is all that a caller needs to know.
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', reject);
    server.listen(name, () => {
      server.off('error', reject);
      server.on('error', (error) => process.emitWarning(error));
      server.unref();
      resolve(server);
    });
  });
}

/** Resolves when nobody is answered any more. Idempotent. */
export function stopListening(server: net.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

/** Whether somebody listens at a socket's path. Nobody does at a file that is no socket, or where there is none. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = systemCodeOf(error) ?? '';
      // ECONNRESET: it has stopped just now.
      if (['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'ENOTSOCK'].includes(code)) resolve(false);
      // So many want to know at once that the listener can't keep up.
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}
