import { createHash, timingSafeEqual } from 'node:crypto';

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
}

/** RabbitMQ's default user, from this machine only, as there. */
export const guestOnLoopback: Authenticator = {
  async authenticate({ user, password, address }) {
    const isGuest = isSame(user, 'guest');
    const knowsPassword = isSame(password, 'guest');
    return isGuest && knowsPassword && isLoopback(address);
  },
};

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Takes as long for a near miss as for a far one. */
function isSame(a: string, b: string): boolean {
  return timingSafeEqual(digest(a), digest(b));
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.replace(/^::ffff:/, '').startsWith('127.');
}
