import { resolve } from 'node:path';
import {
  assertServerOptions,
  type Broker,
  type BrokerOptions,
  createServer,
  openBroker,
  type ServerOptions,
} from '@nestmq/broker';

/**
 * How other processes reach an embedded broker: see the broker's `createServer`.
 *
 * @publicApi
 */
export type ListenOptions = Omit<ServerOptions, keyof BrokerOptions>;

/**
 * Options of the broker in this process. They count for the first who opens it.
 *
 * @publicApi
 */
export interface EmbeddedBrokerOptions extends Omit<BrokerOptions, 'directory'> {
  /**
   * Accepts AMQP 0-9-1 clients as well: other processes, other languages. `{}` is 127.0.0.1, port 5672.
   * @default nobody else is let in
   */
  readonly listen?: ListenOptions;
}

interface Home {
  readonly broker: Broker;
  readonly port: number | undefined;
  readonly close: () => Promise<void>;
}

interface Shared {
  readonly home: Promise<Home>;
  users: number;
}

/**
 * The brokers embedded in this process, by what their URL names. A directory has one owner, so the server and the
 * clients of an application share one broker; so do those that name the same `memory:`. The last one out closes it.
 */
const shared = new Map<string, Shared>();

/**
 * A share in an embedded broker.
 *
 * @publicApi
 */
export interface BrokerLease {
  readonly broker: Broker;
  /** Where AMQP clients connect, if it listens. */
  readonly port: number | undefined;
  /** Idempotent. Rejects when closing the broker fails. */
  release(): Promise<void>;
}

/**
 * `options` count for the first who names the broker.
 *
 * @publicApi
 */
export async function leaseBroker(
  home: { readonly memory: string } | { readonly directory: string },
  options: EmbeddedBrokerOptions = {},
): Promise<BrokerLease> {
  const directory = 'directory' in home ? resolve(home.directory) : undefined;
  const key = directory === undefined ? `memory:${'memory' in home ? home.memory : ''}` : `file:${directory}`;
  const entry = shared.get(key) ?? open(key, directory === undefined ? options : { ...options, directory });
  entry.users++;
  let opened: Home;
  try {
    opened = await entry.home;
  } catch (error) {
    // A failed opening is not remembered: the next try starts anew.
    if (shared.get(key) === entry) shared.delete(key);
    throw error;
  }
  let released = false;
  return {
    broker: opened.broker,
    port: opened.port,
    async release() {
      if (released) return;
      released = true;
      if (--entry.users > 0) return;
      closing.set(
        key,
        opened.close().finally(() => closing.delete(key)),
      );
      shared.delete(key);
      await closing.get(key);
    },
  };
}

/** A broker that is being closed still has its directory; who opens it again waits. */
const closing = new Map<string, Promise<void>>();

function open(key: string, options: EmbeddedBrokerOptions & BrokerOptions): Shared {
  const before = closing.get(key) ?? Promise.resolve();
  // How the one before ended is told to who closed it.
  const entry = { home: before.catch(() => undefined).then(async () => openHome(options)), users: 0 };
  shared.set(key, entry);
  return entry;
}

/** Throws INVALID_OPTION for what opening such a broker would refuse, and opens none. */
export function assertEmbeddedBrokerOptions({ listen, ...options }: EmbeddedBrokerOptions): void {
  assertServerOptions({ ...options, ...listen });
}

async function openHome({ listen, ...options }: EmbeddedBrokerOptions & BrokerOptions): Promise<Home> {
  if (listen === undefined) {
    const broker = await openBroker(options);
    return { broker, port: undefined, close: () => broker.close() };
  }
  const server = await createServer({ ...options, ...listen });
  return { broker: server.broker, port: server.port, close: () => server.close() };
}
