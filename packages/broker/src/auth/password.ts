import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { BrokerError } from '../errors.js';
import { LIMITS } from '../limits.js';

/** `scrypt` is nestmq's own; the others are RabbitMQ's modules, by their names in its definitions. */
export type HashingAlgorithm = 'scrypt' | 'rabbit_password_hashing_sha256' | 'rabbit_password_hashing_sha512';

/** What is kept of a password. An empty hash is no password: nobody can log in with one. */
export interface PasswordHash {
  readonly hashingAlgorithm: HashingAlgorithm;
  /** Of scrypt, `$scrypt$ln=14,r=8,p=5$SALT$HASH`; of RabbitMQ's, base64 of a salt of 4 bytes and the hash. */
  readonly passwordHash: string;
}

/** One of the equivalent settings of OWASP's Password Storage Cheat Sheet: 16 MiB, and about 0.2 s of one core. */
const COST = { logN: 14, blockSize: 8, parallelization: 5 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
const RABBIT_SALT_BYTES = 4;
const RABBIT_DIGESTS: Readonly<Record<string, string>> = {
  rabbit_password_hashing_sha256: 'sha256',
  rabbit_password_hashing_sha512: 'sha512',
};

interface Cost {
  readonly logN: number;
  readonly blockSize: number;
  readonly parallelization: number;
}

interface Scrypt {
  readonly cost: Cost;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

export function isHashingAlgorithm(name: string): name is HashingAlgorithm {
  return name === 'scrypt' || Object.hasOwn(RABBIT_DIGESTS, name);
}

/** Hashes with a salt of its own, in a thread of the pool. */
export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, COST);
  const { logN, blockSize, parallelization } = COST;
  const parts = [`ln=${logN},r=${blockSize},p=${parallelization}`, unpadded(salt), unpadded(hash)];
  return { hashingAlgorithm: 'scrypt', passwordHash: `$scrypt$${parts.join('$')}` };
}

/**
 * Whether the password is the one. Takes as long for a user that is not there (`undefined`), for one without a
 * password, and for RabbitMQ's fast hashes: one scrypt each.
 */
export async function verifyPassword(password: string, kept: PasswordHash | undefined): Promise<boolean> {
  if (kept !== undefined && kept.hashingAlgorithm === 'scrypt' && kept.passwordHash !== '') {
    const { cost, salt, hash } = parseScrypt(kept.passwordHash);
    return timingSafeEqual(await derive(password, salt, cost, hash.length), hash);
  }
  await derive(password, randomBytes(SALT_BYTES), COST);
  return kept !== undefined && kept.passwordHash !== '' && isRabbitHashOf(password, kept);
}

/** Throws INVALID_DEFINITION when nothing could be compared with it, or only at a price that no login may have. */
export function assertPasswordHash({ hashingAlgorithm, passwordHash }: PasswordHash): void {
  if (passwordHash === '') return;
  if (hashingAlgorithm === 'scrypt') parseScrypt(passwordHash);
  else if (rabbitHash(passwordHash).length <= RABBIT_SALT_BYTES) throw unreadable();
}

/** A fast digest under a key of this process: to know a password again that was verified before. */
export class PasswordMemory {
  readonly #key = randomBytes(HASH_BYTES);

  digest(password: string): Buffer {
    return createHmac('sha256', this.#key).update(password).digest();
  }
}

/** In constant time. */
export function isSameDigest(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

function isRabbitHashOf(password: string, { hashingAlgorithm, passwordHash }: PasswordHash): boolean {
  const kept = rabbitHash(passwordHash);
  const digest = createHash(RABBIT_DIGESTS[hashingAlgorithm] as string);
  const hash = digest.update(kept.subarray(0, RABBIT_SALT_BYTES)).update(password).digest();
  return isSameDigest(hash, kept.subarray(RABBIT_SALT_BYTES));
}

function rabbitHash(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

function parseScrypt(text: string): Scrypt {
  const [, logN, blockSize, parallelization, salt, hash] =
    /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([\w+/-]+)\$([\w+/-]+)$/.exec(text) ?? [];
  if (salt === undefined || hash === undefined) throw unreadable();
  const cost = {
    logN: Number(logN),
    blockSize: Number(blockSize),
    parallelization: Number(parallelization),
  };
  const isPayable = memoryOf(cost) <= LIMITS.passwordHashBytesMax && cost.parallelization <= 16;
  if (!isPayable || cost.logN < 1 || cost.blockSize < 1 || cost.parallelization < 1) throw unreadable();
  return { cost, salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
}

function unreadable(): BrokerError {
  return new BrokerError('INVALID_DEFINITION', 'A password hash is none that can be compared with.', {
    cure: 'Set the password anew.',
  });
}

function derive(password: string, salt: Buffer, cost: Cost, bytes = HASH_BYTES): Promise<Buffer> {
  const { logN, blockSize, parallelization } = cost;
  const options = { N: 2 ** logN, r: blockSize, p: parallelization, maxmem: 2 * LIMITS.passwordHashBytesMax };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, bytes, options, (error, hash) => (error === null ? resolve(hash) : reject(error)));
  });
}

/** RFC 7914, section 2: the larger part is N blocks. */
function memoryOf({ logN, blockSize }: Cost): number {
  return 128 * blockSize * 2 ** logN;
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
