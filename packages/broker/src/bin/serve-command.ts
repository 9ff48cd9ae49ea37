import { createServer } from '../server.js';
import type { ServerOptions } from '../server-options.js';
import type { Command, CommandArguments } from './command.js';

export const serveCommand: Command = {
  name: 'serve',
  parameters: [],
  options: {
    data: { type: 'string' },
    memory: { type: 'boolean' },
    host: { type: 'string' },
    port: { type: 'string' },
  },
  summary: 'runs a broker for AMQP 0-9-1 clients',
  help: 'Give --data DIR, or --memory. It listens at --host 127.0.0.1, --port 5672; port 0 is any that is free. Prints where it is ready; SIGTERM or SIGINT ends it. Exit code: 0 ended, 1 the journal is damaged, 2 can not serve.',
  async run({ values }, terminal) {
    const options = optionsOf(values);
    // Asked for first: who ends it while it opens has it closed in order as well.
    const ended = terminal.ended();
    const server = await createServer(options);
    const { host } = options;
    terminal.out(`nestmq ready amqp://${host.includes(':') ? `[${host}]` : host}:${server.port}`);
    await ended;
    await server.close();
    return 0;
  },
};

interface Values {
  readonly data?: string;
  readonly memory?: boolean;
  readonly host?: string;
  readonly port?: string;
}

function optionsOf(values: CommandArguments['values']): ServerOptions & { readonly host: string } {
  const { data, memory, host = '127.0.0.1', port = '5672' } = values as Values;
  if ((data !== undefined) === (memory === true)) throw new Error('Give either --data DIR or --memory.');
  if (!/^\d{1,5}$/.test(port)) throw new Error(`--port is '${port}'. Give a number from 0 to 65535.`);
  return { host, port: Number(port), ...(data === undefined ? {} : { directory: data }) };
}
