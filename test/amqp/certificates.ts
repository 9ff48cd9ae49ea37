import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Keys and certificates in a directory of their own: `NAME.key` and `NAME.pem`. */
export class Certificates {
  readonly #directory: string = mkdtempSync(join(tmpdir(), 'nestmq-tls-'));

  path(name: string): string {
    return join(this.#directory, name);
  }

  #openssl(...args: string[]): void {
    const { status, stderr } = spawnSync('openssl', args, { cwd: this.#directory, encoding: 'utf8' });
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
  }

  /** A key and a certificate for it, signed by `ca`, or by itself. Those of that name before are replaced. */
  make(name: string, subject: string, ca?: string): void {
    const [key, request] = [`${name}.key`, `${name}.csr`];
    const out = ['-keyout', key, '-out', request];
    this.#openssl('req', '-utf8', '-newkey', 'rsa:2048', '-nodes', '-subj', subject, ...out);
    const signer = ca === undefined ? ['-signkey', key] : ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`];
    writeFileSync(this.path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    const names = ca === undefined ? [] : ['-extfile', 'names'];
    this.#openssl('x509', '-req', '-days', '2', '-in', request, ...signer, '-out', `${name}.pem`, ...names);
  }

  remove(): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
