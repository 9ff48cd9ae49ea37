import { systemClock } from '../clock.js';
import { messageOf } from '../errors.js';
import { HeapHeadroom, v8Heap } from '../heap-headroom.js';
import { systemMemory } from '../memory-watch.js';
import { createServer, type Server } from '../server.js';
import type { ServerOptions, TlsOptions } from '../server-options.js';
import type { Command, CommandArguments, Terminal } from './command.js';
import { readConfig } from './config-file.js';
import { textIn, type Values } from './data-directory.js';

/** Of a process that does nothing else: as RabbitMQ's `vm_memory_high_watermark`. */
const MEMORY_HIGH_WATERMARK = 0.4;

export const serveCommand: Command = {
  name: 'serve',
  parameters: [],
  options: {
    data: { type: 'string' },
    memory: { type: 'boolean' },
    host: { type: 'string' },
    port: { type: 'string' },
    'tls-cert': { type: 'string' },
    'tls-key': { type: 'string' },
    'tls-ca': { type: 'string' },
    'tls-verify': { type: 'boolean' },
    'tls-port': { type: 'string' },
    config: { type: 'string' },
  },
  summary: 'runs a broker for AMQP 0-9-1 clients',
  help: 'Give --data DIR, or --memory. It listens at --host 127.0.0.1, --port 5672; port 0 is any that is free, none is none. With --tls-cert FILE and --tls-key FILE also at --tls-port 5671; --tls-ca FILE asks clients for a certificate, and --tls-verify turns away who has none. --config FILE has options of `createServer` as JSON; arguments come before it. Prints where it is ready; SIGHUP has it read the files of TLS anew, and keep the old ones when they can not be used; SIGTERM or SIGINT ends it. Exit code: 0 ended, 1 the journal is damaged, 2 can not serve.',
  async run({ values }, terminal) {
    const options = await optionsOf(values);
    // Asked for first: who ends it while it opens has it closed in order as well.
    const ended = terminal.ended();
    const starting = createServer(options);
    if (options.tls !== undefined) terminal.onReload(() => void reload(starting, terminal));
    const server = await starting;
    const headroom = new HeapHeadroom({
      heap: v8Heap,
      clock: systemClock,
      memoryBytes: systemMemory.limitBytes(),
    });
    terminal.out(`nestmq ready ${urlsOf(server, options.host ?? '127.0.0.1').join(' ')}`);
    await ended;
    await server.close();
    headroom.close();
    return 0;
  },
};

/** For the connections that are made from now on. */
async function reload(starting: Promise<Server>, terminal: Terminal): Promise<void> {
  try {
    await (await starting).reloadTls();
    terminal.err('The files of TLS were read anew.');
  } catch (error) {
    terminal.err(`The files of TLS stay as they were: ${messageOf(error)}`);
  }
}

function urlsOf(server: Server, host: string): string[] {
  const at = host.includes(':') ? `[${host}]` : host;
  const plain = server.port === 0 ? [] : [`amqp://${at}:${server.port}`];
  return server.tlsPort === 0 ? plain : [...plain, `amqps://${at}:${server.tlsPort}`];
}

/** Arguments, and, for what they do not say, the configuration file. */
async function optionsOf(values: CommandArguments['values']): Promise<ServerOptions> {
  const file = textIn(values, 'config');
  const { directory: configured, ...config } = file === undefined ? {} : await readConfig(file);
  const directory = textIn(values, 'data') ?? (values['memory'] === true ? undefined : configured);
  if ((directory !== undefined) === (values['memory'] === true))
    throw new Error('Give either --data DIR or --memory.');
  return {
    memoryHighWatermark: MEMORY_HIGH_WATERMARK,
    ...config,
    ...given('directory', directory),
    ...given('host', textIn(values, 'host')),
    ...given('port', portIn(values, 'port')),
    ...given('tls', tlsIn(values, config.tls)),
  };
}

function tlsIn(values: Values, config: TlsOptions | undefined): TlsOptions | undefined {
  const tls = {
    ...given('certFile', textIn(values, 'tls-cert')),
    ...given('keyFile', textIn(values, 'tls-key')),
    ...given('caFile', textIn(values, 'tls-ca')),
    ...given('verify', values['tls-verify'] === true ? true : undefined),
    ...given('port', portIn(values, 'tls-port')),
  };
  if (Object.keys(tls).length === 0) return config;
  const { certFile, keyFile, ...rest } = { ...config, ...tls };
  if (certFile === undefined || keyFile === undefined)
    throw new Error('Give both --tls-cert FILE and --tls-key FILE.');
  return { certFile, keyFile, ...rest };
}

function portIn(values: Values, option: 'tls-port'): number | undefined;
function portIn(values: Values, option: 'port'): number | 'none' | undefined;
function portIn(values: Values, option: string): number | 'none' | undefined {
  const text = textIn(values, option);
  if (text === undefined) return undefined;
  if (text === 'none' && option === 'port') return text;
  if (!/^\d{1,5}$/.test(text)) throw new Error(`--${option} is '${text}'. Give a number from 0 to 65535.`);
  return Number(text);
}

function given<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]?: Value });
}
