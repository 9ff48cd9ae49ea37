import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Server, ServerOptions, TlsOptions } from '@nestmq/broker';
import { type ChannelModel, connect, credentials } from 'amqplib';
import { Certificates } from './certificates.js';
import { addUser, startServer } from './server.js';

let certificates: Certificates;
let server: Server | undefined;
const path = (name: string): string => certificates.path(name);

beforeAll(() => {
  certificates = new Certificates();
  certificates.make('ca', '/CN=root');
  certificates.make('server', '/CN=localhost', 'ca');
  certificates.make('client', '/O=shop/CN=billing', 'ca');
  certificates.make('stranger', '/O=shop/CN=billing');
  certificates.make('odd', '/C=DE/O=A, B/CN=Zoë/emailAddress=a@b.c', 'ca');
});
afterAll(() => certificates.remove());
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(tls: Partial<TlsOptions> = {}, options: ServerOptions = {}): Promise<Server> {
  const files = { certFile: path('server.pem'), keyFile: path('server.key') };
  server = await startServer({ ...options, tls: { ...files, port: 0, ...tls } });
  return server;
}

function client(name?: string): Promise<ChannelModel> {
  const own =
    name === undefined
      ? {}
      : { cert: readFileSync(path(`${name}.pem`)), key: readFileSync(path(`${name}.key`)) };
  const external = name === undefined ? {} : { credentials: credentials.external() };
  const url = `amqps://localhost:${server?.tlsPort}`;
  return connect(url, { ca: [readFileSync(path('ca.pem'))], ...own, ...external });
}

describe('a server with a certificate', () => {
  it('is reached with TLS, and without', async () => {
    const { port } = await start();
    const connection = await client();
    await (await connection.createChannel()).assertQueue('q');
    const plain = await connect(`amqp://127.0.0.1:${port}`);
    expect(await (await plain.createChannel()).checkQueue('q')).toMatchObject({ queue: 'q' });
    await connection.close();
    await plain.close();
  });

  it('is reached with TLS only, when it shall', async () => {
    server = await startServer({
      port: 'none',
      tls: { certFile: path('server.pem'), keyFile: path('server.key'), port: 0 },
    });
    expect(server.port).toBe(0);
    await (await client()).close();
  });

  it('is closed with its TLS clients', async () => {
    await start();
    const connection = await client();
    const closed = new Promise<string>((resolve) =>
      connection.once('close', (error?: Error) => resolve(error?.message ?? '')),
    );
    await server?.close();
    expect(await closed).toContain('CONNECTION_FORCED');
  });

  it('is closed with those that have not finished their handshake', async () => {
    const { tlsPort } = await start();
    const silent = connectTcp(tlsPort, '127.0.0.1');
    const closed = new Promise((resolve) => silent.once('close', resolve));
    silent.on('error', () => {});
    silent.resume();
    // The handshake of the other is done after its own has begun.
    await (await client()).close();
    const started = performance.now();
    await server?.close();
    await closed;
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('a client with a certificate', () => {
  const ALL = { configure: '.*', write: '.*', read: '.*' };
  const define = (name: string): void => {
    if (server === undefined) throw new Error('not started');
    addUser(server, name);
    server.broker.registry.setPermission(name, '/', ALL);
  };

  const queueMadeBy = async (name: string): Promise<string> => {
    const connection = await client(name);
    const { queue } = await (await connection.createChannel()).assertQueue('q');
    await connection.close();
    return queue;
  };

  it('is the user of its distinguished name, as RabbitMQ writes it', async () => {
    await start({ caFile: path('ca.pem') });
    define('CN=billing,O=shop');
    expect(await queueMadeBy('client')).toBe('q');
  });

  it('is the user of its common name, when that is asked for', async () => {
    await start({ caFile: path('ca.pem'), certLoginFrom: 'common_name' });
    define('billing');
    expect(await queueMadeBy('client')).toBe('q');
  });

  it.each([
    ['distinguished_name', String.raw`EMAILADDRESS=a@b.c,CN=Zo\C3\AB,O=A\, B,C=DE`],
    ['common_name', 'Zoë'],
  ] as const)('has an odd name as RabbitMQ writes it, by %s', async (certLoginFrom, name) => {
    await start({ caFile: path('ca.pem'), certLoginFrom });
    define(name);
    expect(await queueMadeBy('odd')).toBe('q');
  });

  it('that names nobody is refused', async () => {
    await start({ caFile: path('ca.pem') });
    define('billing');
    await expect(client('client')).rejects.toThrow(/ACCESS.REFUSED.*EXTERNAL/);
  });

  it('that nobody here has signed is offered no EXTERNAL', async () => {
    await start({ caFile: path('ca.pem') });
    define('CN=billing,O=shop');
    await expect(client('stranger')).rejects.toThrow('EXTERNAL');
  });

  it('is asked for one that is verified, with `verify`', async () => {
    await start({ caFile: path('ca.pem'), verify: true });
    define('CN=billing,O=shop');
    expect(await queueMadeBy('client')).toBe('q');
    const socket = connectTls({ port: server?.tlsPort, host: 'localhost', ca: readFileSync(path('ca.pem')) });
    const ended = new Promise<string>((resolve) => {
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
      socket.once('close', () => resolve('closed'));
    });
    expect(await ended).toMatch(/CERTIFICATE_REQUIRED|closed|ECONNRESET/);
  });
});

describe('what is wrong with TLS options', () => {
  const refused: [string, () => Partial<TlsOptions>, RegExp][] = [
    [
      'a certificate that is not there',
      () => ({ certFile: path('no') }),
      /'tls\.certFile': the file '.*no' can't be read \(ENOENT\)/,
    ],
    [
      'a certificate that is none',
      () => ({ certFile: path('names') }),
      /'tls\.certFile': .* is no certificate/,
    ],
    ['a key that is none', () => ({ keyFile: path('names') }), /'tls\.keyFile': .* is no private key/],
    [
      'the key of another certificate',
      () => ({ keyFile: path('client.key') }),
      /is not the key of the certificate/,
    ],
    ['a root that is none', () => ({ caFile: path('names') }), /'tls\.caFile': .* is no certificate/],
    ['verifying without a root', () => ({ verify: true }), /'tls\.verify' is true\. Give `tls\.caFile`/],
    [
      'a key that is no option',
      () => ({ cert: 'x' }) as never,
      /'tls\.cert' is not an option\. Options are: certFile/,
    ],
    ['a port that is none', () => ({ port: -1 }), /'tls\.port' is -1/],
    ['another way to tell users', () => ({ certLoginFrom: 'x' }) as never, /'tls\.certLoginFrom' is 'x'/],
  ];
  it.each(refused)('is said in one line: %s', async (_, options, message) => {
    const error: unknown = await start(options()).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'INVALID_OPTION' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toContain('\n');
  });

  it('is said of what is no object at all, as a file of JSON may have it', async () => {
    await expect(startServer({ tls: null as never })).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: "'tls' is null. Give an object.",
    });
  });
});
