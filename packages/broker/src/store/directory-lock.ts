import * as fs from 'node:fs/promises';
import { BrokerError, systemCodeOf } from '../errors.js';
import { listen, stopListening } from './local-listener.js';
import { acquireSocketFile } from './socket-file-lock.js';

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
  if (process.platform !== 'linux') return socketFileOrRefuse(real, real);
  const abstract = await listenOrRefuse(`\0nestmq-${dev}-${ino}`, real);
  // A socket's path has at most 107 bytes; through the open directory it is always short enough.
  const handle = await fs.open(real, 'r');
  try {
    const file = await socketFileOrRefuse(`/proc/self/fd/${handle.fd}`, real);
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
    const server = await listen(name);
    return { release: () => stopListening(server) };
  } catch (cause) {
    if (systemCodeOf(cause) === 'EADDRINUSE') throw locked(directory, cause);
    throw cause;
  }
}

async function socketFileOrRefuse(at: string, directory: string): Promise<DirectoryLock> {
  const file = await acquireSocketFile(at, directory);
  if (file === undefined) throw locked(directory);
  return file;
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
