import { describe, expect, it } from '@jest/globals';
import { ManualClock } from '@nestmq/broker';
import { AmqpConnector } from './amqp-connector.js';
import type { AmqpSession } from './amqp-session.js';
import { parseAmqpUrl } from './amqp-url.js';
import { QueueUnavailableException } from '../queue.exceptions.js';

/** Lets what is due in promises be done. */
const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const REFUSED = new Error(
  'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused"',
);

const NO_VHOST = new Error('Expected ConnectionOpenOk; got <ConnectionClose channel:0>');

/** Each try takes the next answer: an error, or a session. */
function connectorOf(answers: (Error | 'session')[], { random = 1, timeoutMs = 30_000 } = {}) {
  const clock = new ManualClock();
  const tried: string[] = [];
  const session = { close: async () => {} } as AmqpSession;
  const connector = new AmqpConnector({
    options: {
      endpoints: parseAmqpUrl('amqp://u:secret@a,b'),
      connectionTimeoutMs: timeoutMs,
      reconnectMs: { min: 100, max: 1000 },
    },
    clock,
    random: () => random,
    open: async ({ host }) => {
      tried.push(`${host} ${clock.now()}`);
      const answer = answers.shift() ?? new Error('nobody there');
      if (answer === 'session') return session;
      throw answer;
    },
  });
  const startMs = clock.now();
  const at = (): string[] =>
    tried.map((one) => one.replace(/ (\d+)$/, (_, ms: string) => ` ${Number(ms) - startMs}`));
  return { connector, clock, session, at };
}

const away = (): Error => new Error('connect ECONNREFUSED');

describe('connecting', () => {
  it('tries one host after the other, and pauses after each round for longer and longer', async () => {
    const { connector, clock, session, at } = connectorOf([
      away(),
      away(),
      away(),
      away(),
      away(),
      'session',
    ]);
    const connecting = connector.connect();
    for (const ms of [100, 200]) {
      await turn();
      clock.advance(ms);
    }
    expect(await connecting).toBe(session);
    expect(at()).toEqual(['a 0', 'b 0', 'a 100', 'b 100', 'a 300', 'b 300']);
  });

  it('takes a random part off each pause', async () => {
    const { connector, clock, at } = connectorOf([away(), away(), 'session'], { random: 0 });
    const connecting = connector.connect();
    await turn();
    clock.advance(50);
    await connecting;
    expect(at()).toEqual(['a 0', 'b 0', 'a 50']);
  });

  it('fails when nobody lets in for too long, with words that name the hosts and no password', async () => {
    const { connector, clock } = connectorOf([], { timeoutMs: 250 });
    const connecting = connector.connect().catch((error: unknown) => error);
    await turn();
    clock.advance(100);
    const error = (await connecting) as Error;
    expect(error).toBeInstanceOf(QueueUnavailableException);
    expect(error.message).toBe(
      'No broker could be reached at amqp://a:5672/, amqp://b:5672/. Start it, or correct the URL. The last try: amqp://b:5672/: nobody there',
    );
  });

  it('tries each host once when it shall not wait', async () => {
    const { connector, at } = connectorOf([], { timeoutMs: 0 });
    await expect(connector.connect()).rejects.toThrow('No broker could be reached');
    expect(at()).toEqual(['a 0', 'b 0']);
  });

  it('fails at once when the login is refused', async () => {
    const { connector, at } = connectorOf([REFUSED]);
    await expect(connector.connect()).rejects.toThrow(
      /refuses the login.*ACCESS_REFUSED - Login was refused/,
    );
    expect(at()).toEqual(['a 0']);
  });

  it('comes back however long that takes', async () => {
    const { connector, clock, session, at } = connectorOf([...Array.from({ length: 40 }, away), 'session']);
    const connecting = connector.reconnect(() => {});
    for (let i = 0; i < 25; i++) {
      await turn();
      clock.advance(1000);
    }
    expect(await connecting).toBe(session);
    expect(at()).toHaveLength(41);
  });

  it.each([
    ['a login', REFUSED, 'refuses the login that was good before, and is asked again and again'],
    ['a vhost', NO_VHOST, 'does not open its vhost, and is asked again and again'],
  ])('comes back to %s that is refused for a while, and tells of it once', async (_, refusal, words) => {
    const refusals = Array.from({ length: 5 }, () => [refusal, away()]).flat();
    const { connector, clock, session } = connectorOf([...refusals, 'session']);
    const told: string[] = [];
    const connecting = connector.reconnect(({ message }) => told.push(message));
    for (let i = 0; i < 10; i++) {
      await turn();
      clock.advance(1000);
    }
    expect(await connecting).toBe(session);
    expect(told).toEqual([expect.stringContaining(words)]);
  });

  it('fails at once for a vhost that is refused in the beginning', async () => {
    const { connector, at } = connectorOf([NO_VHOST]);
    await expect(connector.connect()).rejects.toThrow('refuses the login, or its vhost');
    expect(at()).toEqual(['a 0']);
  });

  it('stops when it is closed', async () => {
    const { connector } = connectorOf([]);
    const connecting = connector.reconnect(() => {});
    await turn();
    connector.close();
    await expect(connecting).rejects.toThrow('The link was closed while it was connecting.');
  });
});
