import { resolve } from 'node:path';
import { type Broker, type BrokerOptions, openBroker } from '@nestmq/broker';

interface Shared {
  readonly broker: Promise<Broker>;
  users: number;
}

/**
 * The brokers embedded in this process, by what their URL names. A directory has one owner, so the server and the
 * clients of an application share one broker; so do those that name the same `memory:`. The last one out closes it.
 */
const shared = new Map<string, Shared>();

export interface BrokerLease {
  readonly broker: Broker;
  /** Idempotent. Rejects when closing the broker fails. */
  release(): Promise<void>;
}

/** `options` count for the first who names the broker. */
export async function leaseBroker(
  home: { readonly memory: string } | { readonly directory: string },
  options: Omit<BrokerOptions, 'directory'> = {},
): Promise<BrokerLease> {
  const directory = 'directory' in home ? resolve(home.directory) : undefined;
  const key = directory === undefined ? `memory:${'memory' in home ? home.memory : ''}` : `file:${directory}`;
  const entry = shared.get(key) ?? open(key, directory === undefined ? options : { ...options, directory });
  entry.users++;
  let broker: Broker;
  try {
    broker = await entry.broker;
  } catch (error) {
    // A failed opening is not remembered: the next try starts anew.
    if (shared.get(key) === entry) shared.delete(key);
    throw error;
  }
  let released = false;
  return {
    broker,
    async release() {
      if (released) return;
      released = true;
      if (--entry.users > 0) return;
      closing.set(
        key,
        broker.close().finally(() => closing.delete(key)),
      );
      shared.delete(key);
      await closing.get(key);
    },
  };
}

/** A broker that is being closed still has its directory; who opens it again waits. */
const closing = new Map<string, Promise<void>>();

function open(key: string, options: BrokerOptions): Shared {
  const before = closing.get(key) ?? Promise.resolve();
  // How the one before ended is told to who closed it.
  const entry = { broker: before.catch(() => undefined).then(async () => openBroker(options)), users: 0 };
  shared.set(key, entry);
  return entry;
}
