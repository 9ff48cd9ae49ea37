import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server as TcpServer, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import { BrokerError, messageOf, systemCodeOf } from './errors.js';
import { LIMITS } from './limits.js';
import type { CertLoginFrom, NormalisedServerOptions } from './server-options.js';

/** A client's socket, and the user that its certificate names, if it has shown one that was verified. */
export type OnSocket = (socket: Socket, certificateUser: string | undefined) => void;

interface Credentials {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
}

export function tcpListener(onSocket: OnSocket): TcpServer {
  return createServer((socket) => onSocket(socket, undefined));
}

/** Rejects with INVALID_OPTION when its files can't be read, or don't go together. */
export async function tlsListener(
  tls: NonNullable<NormalisedServerOptions['tls']>,
  onSocket: OnSocket,
): Promise<TlsServer> {
  const credentials = await readCredentials(tls);
  const asks = credentials.ca !== undefined;
  const server = createTlsServer(
    {
      ...credentials,
      requestCert: asks,
      rejectUnauthorized: asks && tls.verify === true,
      handshakeTimeout: LIMITS.handshakeTimeoutMs,
    },
    (socket) => onSocket(socket, certificateUser(socket, tls.certLoginFrom)),
  );
  // A handshake that fails is its client's business; a socket that is reset before would be an error of nobody.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  return server;
}

/**
 * Reads the files anew, for handshakes that begin from now on. Rejects with INVALID_OPTION when they can't be read, or don't go
 * together; then those before stay.
 */
export async function reloadTls(
  server: TlsServer,
  tls: NonNullable<NormalisedServerOptions['tls']>,
): Promise<void> {
  server.setSecureContext(await readCredentials(tls));
}

async function readCredentials({
  certFile,
  keyFile,
  caFile,
}: NonNullable<NormalisedServerOptions['tls']>): Promise<Credentials> {
  const [cert, key] = [await readPem('tls.certFile', certFile), await readPem('tls.keyFile', keyFile)];
  const ca = caFile === undefined ? undefined : await readPem('tls.caFile', caFile);
  usable('tls.certFile', certFile, 'is no certificate in PEM form', () => createSecureContext({ cert }));
  usable('tls.keyFile', keyFile, 'is no private key in PEM form, or is encrypted', () =>
    createSecureContext({ key }),
  );
  usable('tls.keyFile', keyFile, `is not the key of the certificate '${certFile}'`, () =>
    createSecureContext({ cert, key }),
  );
  if (caFile !== undefined && ca !== undefined) {
    // OpenSSL takes a file without any certificate for an empty list.
    if (!ca.includes('-----BEGIN')) throw refusedFile('tls.caFile', caFile, 'is no certificate in PEM form');
    usable('tls.caFile', caFile, 'is no certificate in PEM form', () => createSecureContext({ ca }));
  }
  return { cert, key, ca };
}

async function readPem(option: string, file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw refusedFile(option, file, `can't be read (${systemCodeOf(cause) ?? messageOf(cause)})`, cause);
  }
}

function usable(option: string, file: string, why: string, use: () => unknown): void {
  try {
    use();
  } catch (cause) {
    throw refusedFile(option, file, why, cause);
  }
}

function refusedFile(option: string, file: string, why: string, cause?: unknown): BrokerError {
  return new BrokerError('INVALID_OPTION', `'${option}': the file '${file}' ${why}.`, { cause });
}

/** As RabbitMQ's `ssl_cert_login_from`: the whole name, or its common name; of several, all, with commas between. */
function certificateUser(socket: TLSSocket, from: CertLoginFrom): string | undefined {
  if (!socket.authorized) return undefined;
  if (from === 'distinguished_name') return distinguishedName(socket.getPeerX509Certificate()?.subject);
  const names: string | readonly string[] | undefined = socket.getPeerCertificate().subject?.CN;
  return typeof names === 'string' ? names : names?.join(',');
}

/** In the order of RFC 4514, last part first, and in RabbitMQ's writing, which escapes what is not ASCII. */
function distinguishedName(subject: string | undefined): string | undefined {
  return subject
    ?.split('\n')
    .toReversed()
    .map((part) => part.replace(/^emailAddress=/, 'EMAILADDRESS='))
    .join(',')
    .replaceAll(/[^\x20-\x7d]+/g, (text) =>
      [...Buffer.from(text)].map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    );
}

/** Rejects with INVALID_OPTION when it can't be listened there. */
export async function listen(server: TcpServer, host: string, port: number): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    throw refusedAddress(host, port, cause);
  }
}

export function portOf(server: TcpServer): number {
  return (server.address() as AddressInfo).port;
}

function refusedAddress(host: string, port: number, cause: unknown): BrokerError {
  const code = systemCodeOf(cause) ?? messageOf(cause);
  const what =
    code === 'EADDRINUSE'
      ? `Port ${port} of '${host}' is taken.`
      : `Can't listen at '${host}', port ${port} (${code}).`;
  return new BrokerError('INVALID_OPTION', what, {
    cure: 'Give another `host` or `port`; port 0 is any that is free.',
    cause,
  });
}
