import type { Clock } from '../clock.js';
import { LoginQueue } from './login-queue.js';
import { LoginThrottle, networkOf } from './login-throttle.js';
import { isSameDigest, type PasswordHash, PasswordMemory, verifyPassword } from './password.js';

export interface Credentials {
  readonly user: string;
  readonly password: string;
  /** The client's address, as the socket tells it. */
  readonly address: string;
}

/** Says who may connect. Compares in constant time; never logs a password. */
export interface Authenticator {
  /** Resolves with whether the user is who they say they are, and may come from there. */
  authenticate(credentials: Credentials): Promise<boolean>;
  /** Whether a user who was proved otherwise, by a certificate, is one here and may come from there. */
  admits(user: string, address: string): boolean;
}

/** RabbitMQ's default user, with the same password: there as long as no user is defined. */
export const DEFAULT_USER = 'guest';

export interface UsersInit {
  readonly clock: Clock;
  readonly users: ReadonlyMap<string, PasswordHash>;
  /** They come from this machine only, as RabbitMQ's `loopback_users`. */
  readonly loopbackUsers: readonly string[];
}

interface Verified {
  readonly kept: PasswordHash;
  readonly digest: Buffer;
}

/**
 * The users of a broker's definitions; as long as there are none, guest with the password guest.
 *
 * A password is verified once by its slow hash, and known again by a fast one under a key of this process, so that
 * clients that all come back at once are let in at once.
 */
export class UserAuthenticator implements Authenticator {
  readonly #users: ReadonlyMap<string, PasswordHash>;
  readonly #loopbackUsers: ReadonlySet<string>;
  readonly #throttle: LoginThrottle;
  readonly #queue = new LoginQueue();
  readonly #memory = new PasswordMemory();
  readonly #verified = new Map<string, Verified>();

  constructor({ clock, users, loopbackUsers }: UsersInit) {
    this.#users = users;
    this.#loopbackUsers = new Set(loopbackUsers);
    this.#throttle = new LoginThrottle(clock);
  }

  async authenticate(credentials: Credentials): Promise<boolean> {
    const { user, address } = credentials;
    const isFree = !this.#throttle.delays(user, address);
    if (!(await this.#throttle.admit(user, address))) return false;
    const knowsPassword = await this.#verify(credentials, isFree);
    // Too many wait, or have failed meanwhile: nobody has guessed anything.
    if (knowsPassword === undefined) return false;
    if (knowsPassword) this.#throttle.succeeded(user, address);
    else this.#throttle.failed(user, address);
    return knowsPassword && this.#mayComeFrom(user, address);
  }

  admits(user: string, address: string): boolean {
    return this.#users.has(user) && this.#mayComeFrom(user, address);
  }

  /** Undefined: it was not looked at. `isFree`: it did not have to wait for others that failed. */
  async #verify({ user, password, address }: Credentials, isFree: boolean): Promise<boolean | undefined> {
    if (this.#users.size === 0) return this.#isDefaultUser(user, password);
    if (this.#isKnownAgain(user, password)) return true;
    return this.#queue.run(networkOf(address), async () => {
      // While it waited, another connection of the same user may have been verified; or enough others have failed, and
      // many guesses at once must not be cheaper than one after the other.
      if (this.#isKnownAgain(user, password)) return true;
      return isFree && this.#throttle.delays(user, address) ? undefined : this.#hash(user, password);
    });
  }

  async #hash(user: string, password: string): Promise<boolean> {
    const kept = this.#users.get(user);
    const isRight = await verifyPassword(password, kept);
    // The password may have been changed meanwhile.
    if (!isRight || kept === undefined || this.#users.get(user) !== kept) return false;
    this.#verified.set(user, { kept, digest: this.#memory.digest(password) });
    return true;
  }

  #isKnownAgain(user: string, password: string): boolean {
    const verified = this.#verified.get(user);
    if (verified === undefined) return false;
    if (this.#users.get(user) === verified.kept)
      return isSameDigest(this.#memory.digest(password), verified.digest);
    this.#verified.delete(user);
    return false;
  }

  #isDefaultUser(user: string, password: string): boolean {
    const isSame = (a: string, b: string): boolean =>
      isSameDigest(this.#memory.digest(a), this.#memory.digest(b));
    const isUser = isSame(user, DEFAULT_USER);
    return isSame(password, DEFAULT_USER) && isUser;
  }

  #mayComeFrom(user: string, address: string): boolean {
    return !this.#loopbackUsers.has(user) || isLoopback(address);
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.replace(/^::ffff:/, '').startsWith('127.');
}
