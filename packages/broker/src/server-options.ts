import { BrokerError } from './errors.js';
import { BROKER_KEYS, type BrokerOptions, normaliseOptions } from './options.js';

/** How clients connect by TLS: version 1.2 or later. */
export interface TlsOptions {
  /** The server's certificate, and those between it and its root: a PEM file. */
  readonly certFile: string;
  /** Its private key: a PEM file. */
  readonly keyFile: string;
  /** Who signs clients' certificates: a PEM file. Clients are asked for one, and may show none. @default not asked */
  readonly caFile?: string;
  /** Clients without a certificate that `caFile` verifies are turned away. @default false */
  readonly verify?: boolean;
  /** 0 is any that is free. @default 5671 */
  readonly port?: number;
  /** What a verified certificate says of who its client is (SASL EXTERNAL). @default 'distinguished_name', as RabbitMQ's `ssl_cert_login_from` */
  readonly certLoginFrom?: CertLoginFrom;
}

/** Which part of a client's certificate names the user of EXTERNAL. */
export type CertLoginFrom = 'distinguished_name' | 'common_name';

/** Of {@link createServer}. */
export interface ServerOptions extends BrokerOptions {
  /** The address to listen at. @default '127.0.0.1' */
  readonly host?: string;
  /** Without TLS. 0 is any that is free; 'none', with `tls` only, does not listen. @default 5672 */
  readonly port?: number | 'none';
  /** Listens for clients with TLS as well. @default it does not */
  readonly tls?: TlsOptions;
  /** Users that come from this machine only, as RabbitMQ's `loopback_users`. @default ['guest'] */
  readonly loopbackUsers?: readonly string[];
}

export interface NormalisedServerOptions {
  readonly host: string;
  readonly port: number | 'none';
  readonly tls: (TlsOptions & { readonly port: number; readonly certLoginFrom: CertLoginFrom }) | undefined;
  readonly loopbackUsers: readonly string[];
  readonly broker: BrokerOptions;
}

const DEFAULT_HOST = '127.0.0.1';
const DEFAULT_PORT = 5672;
const DEFAULT_TLS_PORT = 5671;

const TLS_FILES = ['certFile', 'keyFile', 'caFile'] as const;
const TLS_KEYS: ReadonlySet<string> = new Set([...TLS_FILES, 'verify', 'port', 'certLoginFrom']);

const SERVER_KEYS: readonly string[] = ['host', 'port', 'tls', 'loopbackUsers', ...BROKER_KEYS];

/** Fills in the defaults. Throws INVALID_OPTION; what the engine has to say of its own options it says when it is opened. */
export function normaliseServerOptions(options: ServerOptions): NormalisedServerOptions {
  const { host = DEFAULT_HOST, port = DEFAULT_PORT, tls, loopbackUsers = ['guest'], ...broker } = options;
  for (const key of Object.keys(broker)) if (!BROKER_KEYS.has(key)) throw unknownOption(key, SERVER_KEYS);
  if (typeof host !== 'string' || host === '') throw invalid('host', host, 'Give an address or a name.');
  if (port !== 'none') assertPort('port', port);
  else if (tls === undefined) throw invalid('port', port, 'Give `tls` as well: something must listen.');
  if (!Array.isArray(loopbackUsers) || loopbackUsers.some((user) => typeof user !== 'string'))
    throw invalid('loopbackUsers', loopbackUsers, 'Give an array of names.');
  return {
    host,
    port,
    tls: tls === undefined ? undefined : normaliseTls(tls),
    loopbackUsers,
    broker,
  };
}

/** Throws INVALID_OPTION for what `createServer` would refuse before it opens anything. */
export function assertServerOptions(options: ServerOptions): void {
  normaliseOptions(normaliseServerOptions(options).broker);
}

function normaliseTls(tls: TlsOptions): NonNullable<NormalisedServerOptions['tls']> {
  if (typeof tls !== 'object' || tls === null) throw invalid('tls', tls, 'Give an object.');
  for (const key of Object.keys(tls))
    if (!TLS_KEYS.has(key)) throw unknownOption(`tls.${key}`, [...TLS_KEYS]);
  const { port = DEFAULT_TLS_PORT, certLoginFrom = 'distinguished_name', verify, caFile } = tls;
  assertPort('tls.port', port);
  for (const key of TLS_FILES) {
    const file: unknown = tls[key];
    const isMissing = file === undefined && key !== 'caFile';
    if (isMissing || (file !== undefined && (typeof file !== 'string' || file === '')))
      throw invalid(`tls.${key}`, file, 'Give the path of a PEM file.');
  }
  if (verify !== undefined && typeof verify !== 'boolean')
    throw invalid('tls.verify', verify, 'Give true or false.');
  if (verify === true && caFile === undefined)
    throw invalid('tls.verify', verify, 'Give `tls.caFile` as well: who signs the certificates.');
  if (certLoginFrom !== 'distinguished_name' && certLoginFrom !== 'common_name')
    throw invalid('tls.certLoginFrom', certLoginFrom, "Give 'distinguished_name' or 'common_name'.");
  return { ...tls, port, certLoginFrom };
}

function assertPort(name: string, port: unknown): void {
  if (typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65_535) return;
  throw invalid(name, port, 'Give one from 0 to 65535.');
}

/** One that nobody knows is a mistake in writing. */
function unknownOption(name: string, known: readonly string[]): BrokerError {
  return new BrokerError('INVALID_OPTION', `'${name}' is not an option.`, {
    cure: `Options are: ${known.join(', ')}.`,
  });
}

function invalid(name: string, value: unknown, cure: string): BrokerError {
  const text = typeof value === 'string' ? `'${value}'` : (JSON.stringify(value) ?? 'missing');
  return new BrokerError('INVALID_OPTION', `'${name}' is ${text}.`, { cure });
}
