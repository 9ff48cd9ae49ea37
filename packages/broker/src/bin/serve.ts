import { parseArgs } from 'node:util';
import { messageOf } from '../errors.js';
import { createServer, type Server } from '../server.js';

/** What a command has of its process. */
export interface Io {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
  /** Aborted when the process is asked to end. */
  readonly signal: AbortSignal;
}

export const SERVE_USAGE =
  'nestmq serve (--data DIR | --memory) [--host HOST] [--port PORT]   a broker for AMQP 0-9-1 clients';

const DEFAULT_PORT = '5672';

/** Serves until it is asked to end. Resolves with the exit code: 1 when it can't serve, 2 for wrong arguments. */
export async function serve(args: string[], io: Io): Promise<number> {
  let options: ReturnType<typeof optionsOf>;
  try {
    options = optionsOf(args);
  } catch (error) {
    io.err(messageOf(error));
    io.err(`usage: ${SERVE_USAGE}`);
    return 2;
  }
  let server: Server;
  try {
    server = await createServer(options);
  } catch (error) {
    io.err(messageOf(error));
    return 1;
  }
  io.out(
    `nestmq ready amqp://${options.host.includes(':') ? `[${options.host}]` : options.host}:${server.port}`,
  );
  await aborted(io.signal);
  await server.close();
  return 0;
}

function optionsOf(args: string[]): { host: string; port: number; directory?: string } {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: 'string' },
      memory: { type: 'boolean', default: false },
      host: { type: 'string', default: '127.0.0.1' },
      port: { type: 'string', default: DEFAULT_PORT },
    },
  });
  const { data, memory, host, port } = values;
  if ((data !== undefined) === memory) throw new Error('Give either --data DIR or --memory.');
  if (!/^\d{1,5}$/.test(port)) throw new Error(`--port is '${port}'. Give a number from 0 to 65535.`);
  return { host, port: Number(port), ...(data === undefined ? {} : { directory: data }) };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
