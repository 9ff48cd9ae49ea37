import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '../clock.js';
import { LIMITS } from '../limits.js';
import { UserAuthenticator } from './authenticator.js';
import { LoginQueue } from './login-queue.js';
import { assertPasswordHash, hashPassword, type PasswordHash, verifyPassword } from './password.js';

function rabbitHash(password: string, digest: 'sha256' | 'sha512' = 'sha256'): PasswordHash {
  const salt = Buffer.from([1, 2, 3, 4]);
  const hash = createHash(digest).update(salt).update(password).digest();
  return {
    hashingAlgorithm: `rabbit_password_hashing_${digest}`,
    passwordHash: Buffer.concat([salt, hash]).toString('base64'),
  };
}

function authenticating(users: Map<string, PasswordHash>, loopbackUsers = ['guest']): UserAuthenticator {
  return new UserAuthenticator({ clock: new ManualClock(), users, loopbackUsers });
}

const login = (user: string, password: string, address = '127.0.0.1') => ({ user, password, address });

describe('a user', () => {
  it('logs in with the password, hashed by scrypt or as RabbitMQ does, and with no other', async () => {
    const users = new Map([
      ['own', await hashPassword('secret')],
      ['sha256', rabbitHash('secret')],
      ['sha512', rabbitHash('secret', 'sha512')],
      // What RabbitMQ 3.10.8 exported of a user with the password u.
      [
        'exported',
        {
          hashingAlgorithm: 'rabbit_password_hashing_sha256' as const,
          passwordHash: 'sdQl/G2E+MFa7NVV8CVBTpFj51UUTVWjivHccCbTFYiR90z/',
        },
      ],
    ]);
    const authenticator = authenticating(users);
    for (const user of ['own', 'sha256', 'sha512']) {
      expect(await authenticator.authenticate(login(user, 'secret', '10.0.0.1'))).toBe(true);
      expect(await authenticator.authenticate(login(user, 'secret', '10.0.0.1'))).toBe(true);
      expect(await authenticator.authenticate(login(user, 'Secret', '10.0.0.1'))).toBe(false);
    }
    expect(await authenticator.authenticate(login('exported', 'u'))).toBe(true);
    expect(await authenticator.authenticate(login('nobody', 'secret'))).toBe(false);
  });

  it('without a password can not log in with any', async () => {
    for (const hashingAlgorithm of ['scrypt', 'rabbit_password_hashing_sha256'] as const) {
      const authenticator = authenticating(new Map([['u', { hashingAlgorithm, passwordHash: '' }]]));
      expect(await authenticator.authenticate(login('u', ''))).toBe(false);
    }
  });

  it('is not known again by the old password when it was changed or the user deleted', async () => {
    const users = new Map([['u', rabbitHash('old')]]);
    const authenticator = authenticating(users);
    expect(await authenticator.authenticate(login('u', 'old'))).toBe(true);
    users.set('u', rabbitHash('new'));
    expect(await authenticator.authenticate(login('u', 'old'))).toBe(false);
    expect(await authenticator.authenticate(login('u', 'new'))).toBe(true);
    users.delete('u');
    users.set('other', rabbitHash('x'));
    expect(await authenticator.authenticate(login('u', 'new'))).toBe(false);
  });

  it('that may come from this machine only is refused from another', async () => {
    const authenticator = authenticating(new Map([['guest', rabbitHash('guest')]]));
    expect(await authenticator.authenticate(login('guest', 'guest', '10.0.0.1'))).toBe(false);
    expect(await authenticator.authenticate(login('guest', 'guest', '::ffff:127.0.0.1'))).toBe(true);
    expect(authenticator.admits('guest', '::1')).toBe(true);
    expect(authenticator.admits('guest', '10.0.0.1')).toBe(false);
    expect(authenticator.admits('nobody', '::1')).toBe(false);
  });

  it('guest is there as long as no user is defined, and gone with the first', async () => {
    const users = new Map<string, PasswordHash>();
    const authenticator = authenticating(users);
    expect(await authenticator.authenticate(login('guest', 'guest'))).toBe(true);
    expect(await authenticator.authenticate(login('guest', 'guest', '10.0.0.1'))).toBe(false);
    expect(await authenticator.authenticate(login('guest', 'other'))).toBe(false);
    users.set('u', rabbitHash('u'));
    expect(await authenticator.authenticate(login('guest', 'guest'))).toBe(false);
  });
});

describe('a password hash', () => {
  it('that can not be compared with, or only at a price, is refused', async () => {
    const { passwordHash } = await hashPassword('x');
    for (const bad of ['x', '$scrypt$ln=30,r=8,p=1$AAAA$AAAA', '$scrypt$ln=14,r=8,p=99$AAAA$AAAA'])
      expect(() => assertPasswordHash({ hashingAlgorithm: 'scrypt', passwordHash: bad })).toThrow(
        'password hash',
      );
    expect(() => assertPasswordHash({ hashingAlgorithm: 'scrypt', passwordHash })).not.toThrow();
    expect(() =>
      assertPasswordHash({ hashingAlgorithm: 'rabbit_password_hashing_sha256', passwordHash: 'AAAA' }),
    ).toThrow('password hash');
  });

  it('has a salt of its own', async () => {
    const [one, other] = [await hashPassword('x'), await hashPassword('x')];
    expect(one.passwordHash).not.toBe(other.passwordHash);
    expect(await verifyPassword('x', one)).toBe(true);
  });
});

describe('many wrong passwords at once', () => {
  it('from one address are no cheaper than one after the other, and others are let in among them', async () => {
    const users = new Map([
      ['u', rabbitHash('u')],
      ['v', rabbitHash('v')],
    ]);
    let looks = 0;
    const counting = new Proxy(users, {
      get: (target, key) => {
        if (key === 'get') looks++;
        const value: unknown = Reflect.get(target, key);
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      },
    });
    const flooded = authenticating(counting);
    const guesses = Array.from({ length: 50 }, (_, i) => flooded.authenticate(login('u', `guess ${i}`)));
    const right = flooded.authenticate(login('v', 'v', '10.0.0.2'));
    expect(await Promise.all(guesses)).toEqual(guesses.map(() => false));
    expect(await right).toBe(true);
    expect(looks).toBeLessThan(20);
  });
});

describe('the queue of logins', () => {
  it('lets networks take turns, and a full one makes room for another', async () => {
    const queue = new LoginQueue();
    const order: string[] = [];
    let end = (): void => {};
    const running = Array.from({ length: LIMITS.passwordHashesMax }, () =>
      queue.run('busy', () => new Promise<void>((resolve) => (end = resolve))),
    );
    const work = (name: string) => async (): Promise<string> => {
      order.push(name);
      return name;
    };
    const flood = Array.from({ length: LIMITS.waitingLoginsMax }, (_, i) =>
      queue.run('flood', work(`flood ${i}`)),
    );
    const other = queue.run('other', work('other'));
    expect(await queue.run('flood', work('flood too many'))).toBeUndefined();
    expect(await flood.at(-1)).toBeUndefined();
    end();
    expect(await other).toBe('other');
    expect(order.indexOf('other')).toBeLessThan(LIMITS.passwordHashesMax + 1);
    await Promise.all(flood);
    expect(order).toHaveLength(LIMITS.waitingLoginsMax);
    void running;
  });

  it('hashes few passwords at once, and refuses when too many wait', async () => {
    const queue = new LoginQueue();
    let [running, most] = [0, 0];
    const ends: (() => void)[] = [];
    const work = async (): Promise<boolean> => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => {
        ends.push(resolve);
      });
      running--;
      return true;
    };
    const count = LIMITS.passwordHashesMax + LIMITS.waitingLoginsMax;
    const all = Array.from({ length: count }, () => queue.run('10.0.0.1', work));
    expect(await queue.run('10.0.0.1', work)).toBeUndefined();
    for (let ended = 0; ended < count;) {
      const now = ends.splice(0);
      ended += now.length;
      for (const end of now) end();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    expect(most).toBe(LIMITS.passwordHashesMax);
    expect(await Promise.all(all)).toEqual(all.map(() => true));
  });
});
