import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Server } from '@nestmq/broker';
import { Certificates } from './certificates.js';
import { startServer } from './server.js';

let certificates: Certificates;
const path = (name: string): string => certificates.path(name);

beforeAll(() => {
  certificates = new Certificates();
  certificates.make('ca', '/CN=root');
  certificates.make('first', '/CN=first', 'ca');
  certificates.make('second', '/CN=second', 'ca');
});
afterAll(() => certificates.remove());

/** The server's files are those of this name from now on. */
function use(name: string): void {
  for (const kind of ['pem', 'key']) copyFileSync(path(`${name}.${kind}`), path(`server.${kind}`));
}

async function connected(port: number): Promise<TLSSocket> {
  const socket = connect({ port, host: 'localhost', ca: readFileSync(path('ca.pem')) });
  await once(socket, 'secureConnect');
  return socket;
}

/** Whom a client that comes now sees. */
async function shownAt(port: number): Promise<string | undefined> {
  const socket = await connected(port);
  const { CN } = socket.getPeerCertificate().subject;
  socket.destroy();
  return CN?.toString();
}

describe('a server that reads its certificate anew', () => {
  let server: Server;
  beforeEach(async () => {
    use('first');
    server = await startServer({
      tls: { certFile: path('server.pem'), keyFile: path('server.key'), port: 0 },
    });
  });
  afterEach(() => server.close());

  it('shows it to who comes then, and keeps who is there', async () => {
    const before = await connected(server.tlsPort);
    use('second');
    expect(await shownAt(server.tlsPort)).toBe('first');
    await server.reloadTls();
    expect(await shownAt(server.tlsPort)).toBe('second');
    expect(before.destroyed).toBe(false);
    before.destroy();
  });

  it.each([
    ['a certificate that is none', () => writeFileSync(path('server.pem'), 'x'), 'is no certificate'],
    [
      'the key of another',
      () => copyFileSync(path('second.key'), path('server.key')),
      'is not the key of the certificate',
    ],
  ])('keeps what it has when the files have %s', async (_, spoil, why) => {
    spoil();
    await expect(server.reloadTls()).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(why),
    });
    expect(await shownAt(server.tlsPort)).toBe('first');
  });

  it('has one', async () => {
    const plain = await startServer();
    await expect(plain.reloadTls()).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await plain.close();
  });
});

describe('nestmq serve', () => {
  let child: ChildProcess;
  afterEach(() => {
    child.kill('SIGKILL');
  });

  /** The next line of what it prints. */
  function linesOf(stream: NodeJS.ReadableStream | null): () => Promise<string> {
    if (stream === null) throw new Error('no stream');
    const lines = createInterface({ input: stream })[Symbol.asyncIterator]();
    return async () => String((await lines.next()).value);
  }

  it('reads its certificate anew on SIGHUP, says so, and says why when it can not', async () => {
    use('first');
    const files = ['--tls-cert', path('server.pem'), '--tls-key', path('server.key')];
    const ports = ['--port', 'none', '--tls-port', '0'];
    const command = ['packages/broker/dist/bin/nestmq.js', 'serve', '--memory', ...ports, ...files];
    child = spawn(process.execPath, command);
    const [out, said] = [linesOf(child.stdout), linesOf(child.stderr)];
    const port = Number(/:(\d+)$/.exec(await out())?.[1]);
    use('second');
    child.kill('SIGHUP');
    expect(await said()).toBe('The files of TLS were read anew.');
    expect(await shownAt(port)).toBe('second');
    writeFileSync(path('server.key'), 'x');
    child.kill('SIGHUP');
    expect(await said()).toMatch(/^The files of TLS stay as they were: 'tls\.keyFile': .* is no private key/);
    expect(await shownAt(port)).toBe('second');
    child.kill('SIGTERM');
    expect(await once(child, 'close')).toEqual([0, null]);
  });
});
