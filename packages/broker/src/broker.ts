import { Connection } from './connection.js';
import { BrokerError, messageOf, systemCodeOf } from './errors.js';
import { type BrokerOptions, normaliseOptions, type NormalisedBrokerOptions } from './options.js';
import { PublishGate } from './publish-gate.js';
import { acquireDirectory, type DirectoryLock } from './store/directory-lock.js';
import { JournalStore } from './store/journal-store.js';
import { MemoryStore } from './store/memory-store.js';
import type { MessageStore } from './store/message-store.js';
import { nodeFileSystem } from './store/node-file-system.js';
import { Turns } from './turns.js';
import { Vhost } from './vhost.js';

const DEFAULT_VHOST = '/';
/** A message that could not be read is tried again this much later. Milliseconds. */
const READ_AGAIN_MS = 5000;

/** The engine: everything but sockets. Made by {@link openBroker}. */
export class Broker {
  readonly #connections = new Set<Connection>();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(
    private readonly vhost: Vhost,
    private readonly store: MessageStore,
    private readonly gate: PublishGate,
    private readonly lock: DirectoryLock | undefined,
  ) {}

  /** Opens a session. Throws CLOSED after {@link close}. */
  connect(): Connection {
    if (this.#closing !== undefined) throw new BrokerError('CLOSED', 'The broker is closed.');
    const { vhost, store, gate } = this;
    const onClose = (closed: Connection): boolean => this.#connections.delete(closed);
    const connection = new Connection({ vhost, store, gate, onClose });
    this.#connections.add(connection);
    return connection;
  }

  /** {@link close} was called. */
  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  /** Why nothing is accepted now, if so: a write failed. Gone when the disk has proved itself again (J5). */
  get failure(): Error | undefined {
    return this.store.failure;
  }

  /** Why publishers are blocked now, if so: the disk is nearly full. Consumers go on. */
  get blocked(): string | undefined {
    return this.gate.reason;
  }

  /**
   * Closes all connections, makes everything durable, and lets go of the directory. Resolves when that is done;
   * rejects with STORE_FAILED when the store had failed before, after letting go all the same. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      for (const connection of this.#connections) connection.close();
    } finally {
      this.vhost.close();
      this.gate.close();
      await this.#letGo();
    }
  }

  async #letGo(): Promise<void> {
    try {
      await this.store.close();
    } finally {
      await this.lock?.release();
    }
  }
}

/**
 * Opens a broker on a directory, or in memory. Resolves when what the directory holds has been read back.
 *
 * Rejects with INVALID_OPTION, DIRECTORY_UNUSABLE (can't be made, read or written), DIRECTORY_LOCKED (another broker
 * has it), JOURNAL_DAMAGED or JOURNAL_VERSION; the data is then as it was.
 */
export async function openBroker(options: BrokerOptions = {}): Promise<Broker> {
  const normalised = normaliseOptions(options);
  const gate = new PublishGate();
  if (normalised.directory === undefined) return start(new MemoryStore(), { ...normalised, gate });
  const { directory, fileSystem } = normalised;
  await usable(directory, 'made', () => fileSystem.makeDirectory(directory));
  // Only a real directory can be another process's; a simulated one belongs to the test that made it.
  const lock =
    fileSystem === nodeFileSystem
      ? await usable(directory, 'locked', () => acquireDirectory(directory))
      : undefined;
  try {
    const store = new JournalStore({
      ...normalised,
      directory: `${directory}/journal`,
      onBlocked: (reason) => gate.set(reason),
    });
    return await start(store, { ...normalised, gate, lock });
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

async function start(
  store: MessageStore,
  {
    directory,
    clock,
    onFailure,
    gate,
    lock,
  }: Pick<NormalisedBrokerOptions, 'directory' | 'clock' | 'onFailure'> & {
    readonly gate: PublishGate;
    readonly lock?: DirectoryLock | undefined;
  },
): Promise<Broker> {
  const recovered = await usable(directory ?? '', 'used', () => store.open());
  const vhost = new Vhost(DEFAULT_VHOST, {
    store,
    clock,
    random: Math.random,
    schedule: new Turns().schedule,
    later: (retry) => void clock.setTimer(READ_AGAIN_MS, retry),
    onReadFailure: (queue, cause) => {
      onFailure(
        new BrokerError(
          'STORE_FAILED',
          `Queue '${queue.name}' stands still: a message can't be read (${messageOf(cause)}).`,
          {
            severity: 'broker',
            cure: 'No message was skipped. Cure the disk: it is tried again by itself.',
            cause,
          },
        ),
      );
    },
  });
  try {
    vhost.restore(recovered);
  } catch (error) {
    await store.close();
    throw error;
  }
  store.compactFor(vhost);
  return new Broker(vhost, store, gate, lock);
}

/** Turns the system's errors into one that says what to do. */
export async function usable<R>(directory: string, verb: string, operation: () => Promise<R>): Promise<R> {
  try {
    return await operation();
  } catch (cause) {
    const code = systemCodeOf(cause);
    if (code === undefined || cause instanceof BrokerError) throw cause;
    throw new BrokerError(
      'DIRECTORY_UNUSABLE',
      `The directory '${directory}' can't be ${verb}: ${reasonOf(code)} (${code}).`,
      {
        severity: 'broker',
        cure: 'Give a directory that this user may create, read and write.',
        cause,
      },
    );
  }
}

function reasonOf(code: string): string {
  const reasons: Record<string, string> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the file system is read-only',
    EEXIST: 'there is a file of that name',
    ENOTDIR: 'a part of the path is a file',
    ENOENT: 'a part of the path does not exist and can not be made',
    ENOSPC: 'the disk is full',
  };
  return reasons[code] ?? 'the system refused';
}
