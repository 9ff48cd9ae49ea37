import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as net from 'node:net';
import * as path from 'node:path';
import { BrokerError, systemCodeOf } from '../errors.js';

/** The right to a directory, held by one process at a time. */
export interface DirectoryLock {
  /** Idempotent. */
  release(): Promise<void>;
}

/**
 * Takes a directory for this process (J10). The lock is a listening local socket, so it dies with the process and a
 * crash leaves nothing to clean up:
 *
 * - Linux: an abstract socket named after the directory's device and inode keeps out processes of the same network
 *   namespace; `broker.sock` in the directory keeps out those of another one (a container that shares the volume).
 * - elsewhere: `broker.sock`, or a named pipe on Windows.
 *
 * Rejects with DIRECTORY_LOCKED when another broker has it.
 */
export async function acquireDirectory(directory: string): Promise<DirectoryLock> {
  const real = await fs.realpath(directory);
  const { dev, ino } = await fs.stat(real, { bigint: true });
  if (process.platform === 'win32') return listenOrRefuse(String.raw`\\.\pipe\nestmq-${dev}-${ino}`, real);
  if (process.platform !== 'linux') return acquireSocketFile(real, real);
  const abstract = await listenOrRefuse(`\0nestmq-${dev}-${ino}`, real);
  // A socket's path has at most 107 bytes; through the open directory it is always short enough.
  const handle = await fs.open(real, 'r');
  try {
    const file = await acquireSocketFile(`/proc/self/fd/${handle.fd}`, real);
    return {
      async release() {
        await file.release();
        await abstract.release();
      },
    };
  } catch (error) {
    await abstract.release();
    throw error;
  } finally {
    await handle.close();
  }
}

async function listenOrRefuse(name: string, directory: string): Promise<DirectoryLock> {
  try {
    return lockOf(await listen(name));
  } catch (cause) {
    if (systemCodeOf(cause) === 'EADDRINUSE') throw locked(directory, cause);
    throw cause;
  }
}

/** A socket file without a listener is left from a crash and is replaced; one with a listener is an owner. */
async function acquireSocketFile(at: string, directory: string): Promise<DirectoryLock> {
  const socketPath = `${at}/broker.sock`;
  if (await answers(socketPath)) throw locked(directory);
  const own = `broker-${process.pid}-${randomBytes(4).toString('hex')}.sock`;
  const server = await listen(`${at}/${own}`);
  const ino = await takeName(`${at}/${own}`, socketPath).catch(async (error: unknown) => {
    await lockOf(server).release();
    throw error;
  });
  const real = path.join(directory, 'broker.sock');
  return {
    async release() {
      const current = await fs.stat(real).catch(ignoreMissing);
      if (current?.ino === ino) await fs.unlink(real).catch(ignoreMissing);
      await lockOf(server).release();
    },
  };
}

/** Returns the inode of the socket that now has the name. */
async function takeName(own: string, socketPath: string): Promise<number> {
  await fs.rename(own, socketPath);
  return (await fs.stat(socketPath)).ino;
}

function ignoreMissing(error: unknown): undefined {
  if (systemCodeOf(error) !== 'ENOENT') throw error;
  return undefined;
}

function listen(name: string): Promise<net.Server> {
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

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => {
      const code = systemCodeOf(error);
      if (code === 'ENOENT' || code === 'ECONNREFUSED') resolve(false);
      else if (code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

function lockOf(server: net.Server): DirectoryLock {
  return {
    release: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

function locked(directory: string, cause?: unknown): BrokerError {
  return new BrokerError(
    'DIRECTORY_LOCKED',
    `The directory '${directory}' belongs to a broker that is running.`,
    {
      severity: 'broker',
      cure: 'Stop the other process, or give this one a directory of its own.',
      cause,
    },
  );
}
